/*
 * Labels a picture: classify MODEL PICTURE [LABELS [SETTINGS]]
 *
 * LABELS is a file with a name a line, SETTINGS is JSON such as {"preset": "inception"}; without them the model says
 * itself how pictures become its input and what its classes are called.
 */
#include <octrt.h>

#include <stdio.h>
#include <stdlib.h>

enum { TOP = 3 };

/* Ends the program when a call failed. */
static void check(octrt_error *error) {
    if (error) {
        fprintf(stderr, "classify: %s: %s\n", octrt_code_name(octrt_error_code(error)), octrt_error_message(error));
        octrt_error_free(error);
        exit(1);
    }
}

int main(int argc, char **argv) {
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_picture_options settings = OCTRT_PICTURE_OPTIONS_INIT;
    octrt_model *model = NULL;
    octrt_session *session = NULL;
    octrt_preprocessor *preprocessor = NULL;
    octrt_labels *labels = NULL;
    octrt_tensor input = OCTRT_TENSOR_INIT, scores = OCTRT_TENSOR_INIT;
    int64_t best[TOP];
    double probabilities[TOP];
    size_t count = 0, i;

    if (argc < 3) {
        fprintf(stderr, "usage: classify MODEL PICTURE [LABELS [SETTINGS]]\n");
        return 2;
    }
    check(octrt_model_load(argv[1], &options, &model));
    check(octrt_labels_find(model, argc > 3 ? argv[3] : NULL, NULL, &labels));
    settings.settings = argc > 4 ? argv[4] : NULL;
    check(octrt_preprocessor_new(model, &settings, &preprocessor));
    fprintf(stderr, "classify: preprocessing %s\n", octrt_preprocessor_description(preprocessor));

    check(octrt_preprocessor_input(preprocessor, &input));
    input.data = malloc(input.bytes);
    if (!input.data) return 1;
    check(octrt_preprocess_file(preprocessor, argv[2], &input));

    check(octrt_session_new(model, &session));
    check(octrt_session_run(session, &input, 1, NULL, 0));
    check(octrt_session_output(session, 0, &scores));
    check(octrt_top_k(model, 0, &scores, TOP, best, probabilities, &count));
    for (i = 0; i < count; i++) {
        const char *name = octrt_labels_name(labels, best[i]);
        printf("%.4f  %5lld  %s\n", probabilities[i], (long long)best[i], name ? name : "");
    }

    octrt_session_free(session);
    free(input.data);
    octrt_preprocessor_free(preprocessor);
    octrt_labels_free(labels);
    octrt_model_release(model);
    return 0;
}
