// All of the C++ wrapper. Arguments: the shapes model, a picture, a model of two inputs.
#include <octrt.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            std::fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
            std::exit(1);                                                         \
        }                                                                         \
    } while (0)

static void errors() {
    auto missing = octrt::model::load("no such file");
    CHECK(!missing && missing.error().code == OCTRT_E_IO && !missing.error().message.empty());
    octrt::result<int> three = 3;
    CHECK(three && *three == 3 && three.has_value());
}

static void runs(octrt::model model) {
    auto session = octrt::session::create(model);
    CHECK(session);
    const std::vector<int64_t> dims{1, 3};
    float a[3] = {1, 2, 3}, b[3] = {4, 5, 6}, sum[3] = {};
    CHECK(session->run({octrt::tensor(b, 3, dims, "b"), octrt::tensor(a, 3, dims, "a")}, {octrt::tensor(sum, 3)}));
    CHECK(sum[2] == 9);
    auto less = session->output(1);
    CHECK(less && less->dtype == OCTRT_BOOL && !session->output(0));
    CHECK(session->output_type(0)->bytes == sizeof sum);

    CHECK(session->set_shape("a", dims) && session->set_shape("b", dims) && session->prepare());
    CHECK(session->bind_input(octrt::tensor(a, 3, "a")) && session->bind_input(octrt::tensor(b, 3, "b")));
    CHECK(session->bind_output(octrt::tensor(sum, 3, "sum")));
    a[2] = 30;
    CHECK(session->run_bound() && sum[2] == 36);
    CHECK(session->unbind() && !session->run_bound());

    CHECK(!model.input_decides_shapes(0) && session->set_value(octrt::tensor(a, 3, dims, "a")) && session->prepare());
    CHECK(session->value(0).error().code == OCTRT_E_STATE);

    auto json = session->profile({octrt::tensor(a, 3, dims), octrt::tensor(b, 3, dims)}, 2);
    CHECK(json && json->find("median_ms") != std::string::npos);
    auto canceller = session->make_canceller();
    CHECK(canceller);
    octrt::canceller copy = *canceller;
    { octrt::session gone = std::move(*session); }
    CHECK(!copy.cancel());
}

static void models(const char *path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    octrt_options options = OCTRT_OPTIONS_INIT;
    options.threads = 2;
    auto model = octrt::model::load(bytes.data(), bytes.size(), &options);
    CHECK(model && model->input_count() == 2 && model->output_count() == 2);
    octrt::model copy = *model, other = copy;
    other = std::move(copy);
    CHECK(std::strcmp(other.input(1)->name, "b") == 0 && std::strcmp(other.output(0)->name, "sum") == 0);
    CHECK(!other.input(2) && other.output(2).error().code == OCTRT_E_INVALID_ARGUMENT);
    runs(other);
}

static void pictures(const char *path, const char *picture) {
    auto model = octrt::model::load(path);
    CHECK(model);
    auto preprocessor = octrt::preprocessor::create(*model);
    CHECK(preprocessor && std::strlen(preprocessor->description()) > 0);
    auto input = preprocessor->input();
    CHECK(input);
    std::vector<unsigned char> pixels(input->bytes);
    input->data = pixels.data();
    CHECK(preprocessor->file(picture, *input) && !preprocessor->file("no such file", *input));
    auto session = octrt::session::create(*model);
    CHECK(session && session->run({*input}));
    auto best = octrt::top_k(*model, 0, *session->output(0), 3);
    CHECK(best && best->size() == 3);
    auto labels = octrt::labels::find(*model);
    CHECK(labels && std::strcmp(labels->name(best->front().index), "star") == 0);
    CHECK(std::strcmp(labels->name(-1), "") == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 4);
    errors();
    models(argv[3]);
    pictures(argv[1], argv[2]);
    return 0;
}
