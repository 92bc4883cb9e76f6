/* What the library does when it is used well. Arguments: the shapes model, a picture of a star, a model of two inputs. */
#include "check.h"

static int lines[6];

static void count_line(void *data, int32_t level, const char *message) {
    CHECK(data == lines && level >= OCTRT_LOG_ERROR && level <= OCTRT_LOG_TRACE && strlen(message) > 0);
    lines[level]++;
}

static void version(void) {
    CHECK(octrt_version() == OCTRT_VERSION_MAJOR * 1000000 + OCTRT_VERSION_MINOR * 1000 + OCTRT_VERSION_PATCH);
    CHECK(strstr(octrt_build_info(), octrt_version_string()) != NULL);
    CHECK(strcmp(octrt_code_name(OCTRT_E_BUSY), "OCTRT_E_BUSY") == 0);
}

static void describe(const octrt_model *model) {
    octrt_port port = OCTRT_PORT_INIT;
    octrt_memory memory = OCTRT_MEMORY_INIT;
    size_t i;
    CHECK(octrt_model_input_count(model) == 1 && octrt_model_output_count(model) == 1);
    OK(octrt_model_input(model, 0, &port));
    CHECK(strcmp(port.name, "input") == 0 && port.dtype == OCTRT_F32 && port.rank == 4);
    CHECK(port.dims[0] == -1 && port.dims[1] == 3 && port.dims[2] == 64 && port.dims[3] == 64);
    CHECK(strcmp(port.dim_names[0], "N") == 0 && port.dim_names[1] == NULL);
    OK(octrt_model_output(model, 0, &port));
    CHECK(port.rank == 2 && port.dims[1] == CLASSES);
    CHECK(octrt_model_opset(model) >= 7 && octrt_model_threads(model) == 1);
    CHECK(strstr(octrt_model_name(model), "shapes") && octrt_model_producer(model) != NULL);
    CHECK(strstr(octrt_model_metadata(model, "octrt.labels"), "star") != NULL);
    CHECK(octrt_model_metadata(model, "no such key") == NULL);
    for (i = 0; i < octrt_model_metadata_count(model); i++) {
        const char *key = octrt_model_metadata_key(model, i);
        CHECK(key != NULL && octrt_model_metadata(model, key) != NULL);
    }
    CHECK(octrt_model_metadata_key(model, i) == NULL && octrt_model_warning(model, 1000) == NULL);
    OK(octrt_model_memory(model, &memory));
    CHECK(memory.weights_bytes > 0 && memory.code_bytes > 0);
}

/* The same scores by each way to run. */
static void run(octrt_session *session) {
    static float pixels[PIXELS], first[CLASSES], scores[CLASSES];
    const int64_t two[4] = {2, 3, 64, 64};
    octrt_tensor input = tensor(pixels, sizeof pixels, SHAPES_INPUT, 4), output = OCTRT_TENSOR_INIT, view = output;
    uint64_t bytes = 0;
    FAILS(OCTRT_E_STATE, octrt_session_output_type(session, 0, &output));
    FAILS(OCTRT_E_STATE, octrt_session_output(session, 0, &output));
    fill(pixels, PIXELS, 1);
    output = tensor(first, sizeof first, SHAPES_SCORES, 2);
    OK(octrt_session_run(session, &input, 1, &output, 1));
    FAILS(OCTRT_E_STATE, octrt_session_output(session, 0, &view));

    OK(octrt_session_run(session, &input, 1, NULL, 0));
    OK(octrt_session_output(session, 0, &view));
    CHECK(view.bytes == sizeof first && view.rank == 2 && view.dims[1] == CLASSES && view.dtype == OCTRT_F32);
    CHECK(memcmp(view.data, first, sizeof first) == 0);

    OK(octrt_session_output_type(session, 0, &output));
    CHECK(output.data == NULL && output.bytes == sizeof scores);
    output.data = scores;
    input.name = "input";
    OK(octrt_session_run(session, &input, 1, &output, 1));
    CHECK(memcmp(scores, first, sizeof first) == 0);

    /* Bound once, run twice; the shape is the session's. */
    memset(scores, 0, sizeof scores);
    OK(octrt_session_set_shape(session, "input", SHAPES_INPUT, 4));
    OK(octrt_session_prepare(session));
    input = tensor(pixels, sizeof pixels, NULL, OCTRT_RANK_OF_MODEL);
    output = tensor(scores, sizeof scores, NULL, OCTRT_RANK_OF_MODEL);
    OK(octrt_session_bind_input(session, &input));
    OK(octrt_session_bind_output(session, &output));
    OK(octrt_session_run_bound(session));
    CHECK(memcmp(scores, first, sizeof first) == 0);
    fill(pixels, PIXELS, 2);
    OK(octrt_session_run_bound(session));
    CHECK(memcmp(scores, first, sizeof first) != 0);
    OK(octrt_session_unbind(session));
    SAYS(OCTRT_E_INPUT, "missing", octrt_session_run_bound(session));

    /* Another batch. */
    OK(octrt_session_set_shape(session, NULL, two, 4));
    OK(octrt_session_prepare(session));
    OK(octrt_session_output_type(session, 0, &output));
    CHECK(output.dims[0] == 2 && output.bytes == 2 * sizeof scores);
    OK(octrt_session_memory(session, &bytes));
    CHECK(bytes > 0);
}

static void profile(octrt_session *session) {
    static float pixels[PIXELS];
    octrt_tensor input = tensor(pixels, sizeof pixels, SHAPES_INPUT, 4);
    char *json = NULL;
    OK(octrt_session_profile(session, &input, 1, 2, &json));
    CHECK(strstr(json, "\"octrt.profile/1\"") && strstr(json, "\"median_ms\"") && strstr(json, "\"Conv\""));
    octrt_string_free(json);
}

/* From a picture to its label, from a file and from memory. */
static void classify(const octrt_model *model, octrt_session *session, const char *picture) {
    static float pixels[PIXELS], again[PIXELS];
    static unsigned char grey[5 * 20];
    octrt_preprocessor *preprocessor = NULL;
    octrt_labels *labels = NULL;
    octrt_tensor input = OCTRT_TENSOR_INIT, scores = OCTRT_TENSOR_INIT;
    octrt_picture_options options = OCTRT_PICTURE_OPTIONS_INIT;
    int64_t best[3] = {-1, -1, -1};
    double probabilities[3];
    size_t count = 0, len;
    unsigned char *bytes = read_file(picture, &len);
    OK(octrt_preprocessor_new(model, NULL, &preprocessor));
    CHECK(strstr(octrt_preprocessor_description(preprocessor), "64x64") != NULL);
    OK(octrt_preprocessor_input(preprocessor, &input));
    CHECK(input.bytes == sizeof pixels && input.dims[3] == 64 && strcmp(input.name, "input") == 0);
    input.data = pixels;
    OK(octrt_preprocess_file(preprocessor, picture, &input));
    OK(octrt_session_run(session, &input, 1, NULL, 0));
    OK(octrt_session_output(session, 0, &scores));
    OK(octrt_top_k(model, 0, &scores, 3, best, probabilities, &count));
    CHECK(count == 3 && probabilities[0] >= probabilities[1] && probabilities[0] <= 1.0);
    OK(octrt_labels_find(model, NULL, NULL, &labels));
    CHECK(octrt_labels_count(labels) == CLASSES);
    CHECK(strcmp(octrt_labels_name(labels, best[0]), "star") == 0 && octrt_labels_name(labels, -1) == NULL);
    OK(octrt_top_k(model, 0, &scores, 0, NULL, NULL, NULL));
    input.data = again;
    OK(octrt_preprocess_memory(preprocessor, bytes, len, &input));
    CHECK(memcmp(pixels, again, sizeof pixels) == 0);
    OK(octrt_preprocess_rgb(preprocessor, grey, 5, 6, 20, &input));
    CHECK(memcmp(pixels, again, sizeof pixels) != 0);
    free(bytes);
    octrt_labels_free(labels);
    octrt_preprocessor_free(preprocessor);

    options.settings = "{\"preset\": \"caffe-bgr\"}";
    options.side_file = "none";
    options.exif = OCTRT_EXIF_IGNORE;
    OK(octrt_preprocessor_new(model, &options, &preprocessor));
    CHECK(strstr(octrt_preprocessor_description(preprocessor), "bgr") != NULL);
    octrt_preprocessor_free(preprocessor);
}

/* Tensors by name in any order; one output in the caller's buffer, one in the session. */
static void two_inputs(const char *path) {
    octrt_model *model = load(path, 1);
    octrt_session *session = new_session(model);
    const int64_t dims[2] = {2, 3};
    float a[6] = {0, 1, 2, 3, 4, 5}, b[6] = {1, 1, 1, 9, 9, 9}, sum[6];
    const unsigned char less[6] = {1, 0, 0, 1, 1, 1};
    octrt_tensor inputs[2], output = tensor(sum, sizeof sum, dims, 2), view = OCTRT_TENSOR_INIT;
    octrt_model_release(model);
    inputs[0] = tensor(b, sizeof b, dims, 2);
    inputs[0].name = "b";
    inputs[1] = tensor(a, sizeof a, dims, 2);
    inputs[1].name = "a";
    output.name = "sum";
    OK(octrt_session_run(session, inputs, 2, &output, 1));
    CHECK(sum[2] == 3.0f && sum[5] == 14.0f);
    OK(octrt_session_output(session, 1, &view));
    CHECK(view.dtype == OCTRT_BOOL && memcmp(view.data, less, sizeof less) == 0);
    FAILS(OCTRT_E_STATE, octrt_session_output(session, 0, &view));
    inputs[0].name = inputs[1].name = NULL;
    OK(octrt_session_run(session, inputs, 2, NULL, 0));
    OK(octrt_session_output(session, 1, &view));
    CHECK(memcmp(view.data, less, sizeof less) != 0);
    octrt_session_free(session);
}

int main(int argc, char **argv) {
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_model *model = NULL;
    octrt_session *session;
    CHECK(argc == 4);
    version();
    options.log_level = OCTRT_LOG_DEBUG;
    options.log = count_line;
    options.log_data = lines;
    OK(octrt_model_load(argv[1], &options, &model));
    CHECK(lines[OCTRT_LOG_INFO] > 0 && lines[OCTRT_LOG_ERROR] == 0);
    session = new_session(model);
    run(session);
    describe(model);
    profile(session);
    classify(model, session, argv[2]);
    CHECK(octrt_model_retain(model) == model);
    octrt_model_release(model);
    octrt_model_release(model);
    octrt_session_free(session);
    two_inputs(argv[3]);
    FAILS(OCTRT_E_IO, octrt_model_load("no such file", &options, &model));
    CHECK(lines[OCTRT_LOG_ERROR] == 1);
    return 0;
}
