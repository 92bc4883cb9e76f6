// Labels a picture: classify_cpp MODEL PICTURE
#include <octrt.hpp>

#include <cstdio>
#include <vector>

// The best class of the picture.
static octrt::result<std::string> classify(const char *model_path, const char *picture) {
    auto model = octrt::model::load(model_path);
    if (!model) return model.error();
    auto preprocessor = octrt::preprocessor::create(*model);
    if (!preprocessor) return preprocessor.error();
    auto input = preprocessor->input();
    if (!input) return input.error();
    std::vector<unsigned char> pixels(input->bytes);
    input->data = pixels.data();
    if (auto done = preprocessor->file(picture, *input); !done) return done.error();

    auto session = octrt::session::create(*model);
    if (!session) return session.error();
    if (auto done = session->run({*input}); !done) return done.error();
    auto scores = session->output(0);
    if (!scores) return scores.error();
    auto best = octrt::top_k(*model, 0, *scores, 1);
    if (!best) return best.error();
    auto labels = octrt::labels::find(*model);
    if (!labels) return labels.error();
    return std::string(labels->name(best->front().index));
}

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: classify_cpp MODEL PICTURE\n");
        return 2;
    }
    auto label = classify(argv[1], argv[2]);
    if (!label) {
        std::fprintf(stderr, "classify_cpp: %s\n", label.error().message.c_str());
        return 1;
    }
    std::printf("%s\n", label->c_str());
    return 0;
}
