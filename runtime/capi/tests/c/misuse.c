/* What the library does when it is used badly. Arguments: the shapes model, a picture, a model of two inputs. */
#include "check.h"

#define INVALID(call) FAILS(OCTRT_E_INVALID_ARGUMENT, call)

static int frees;

static void count_free(void *data) {
    CHECK(data == &frees);
    frees++;
}

/* Every pointer of every function, one at a time; out parameters stay as they are. */
static void nulls_of_models(const char *path, octrt_model *model) {
    octrt_model *out = (octrt_model *)&frees;
    octrt_port port = OCTRT_PORT_INIT;
    octrt_memory memory = OCTRT_MEMORY_INIT;
    octrt_session *session = (octrt_session *)&frees;
    INVALID(octrt_model_load(NULL, NULL, &out));
    INVALID(octrt_model_load(path, NULL, NULL));
    INVALID(octrt_model_load_memory(NULL, 5, NULL, NULL, NULL, &out));
    INVALID(octrt_model_load_memory(NULL, 0, NULL, NULL, NULL, &out));
    INVALID(octrt_model_load_memory("x", 1, NULL, NULL, NULL, NULL));
    FAILS(OCTRT_E_CORRUPT, octrt_model_load_memory("x", 1, count_free, &frees, NULL, &out));
    CHECK(out == (octrt_model *)&frees && frees == 0);
    INVALID(octrt_model_input(NULL, 0, &port));
    INVALID(octrt_model_input(model, 0, NULL));
    INVALID(octrt_model_input(model, 1, &port));
    INVALID(octrt_model_output(NULL, 0, &port));
    INVALID(octrt_model_output(model, 0, NULL));
    INVALID(octrt_model_output(model, SIZE_MAX, &port));
    INVALID(octrt_model_memory(NULL, &memory));
    INVALID(octrt_model_memory(model, NULL));
    INVALID(octrt_session_new(NULL, &session));
    INVALID(octrt_session_new(model, NULL));
    CHECK(session == (octrt_session *)&frees);
    CHECK(strcmp(octrt_model_name(NULL), "") == 0 && strcmp(octrt_model_producer(NULL), "") == 0);
    CHECK(octrt_model_opset(NULL) == 0 && octrt_model_threads(NULL) == 0);
    CHECK(octrt_model_input_count(NULL) == 0 && octrt_model_output_count(NULL) == 0);
    CHECK(octrt_model_metadata_count(NULL) == 0 && octrt_model_metadata_key(NULL, 0) == NULL);
    CHECK(octrt_model_metadata(NULL, "k") == NULL && octrt_model_metadata(model, NULL) == NULL);
    CHECK(octrt_model_warning(NULL, 0) == NULL && octrt_model_retain(NULL) == NULL);
    octrt_model_release(NULL);
    octrt_session_free(NULL);
    octrt_error_free(NULL);
    CHECK(octrt_error_code(NULL) == OCTRT_OK && strcmp(octrt_error_message(NULL), "") == 0);
}

static void nulls_of_sessions(octrt_session *session) {
    octrt_tensor t = OCTRT_TENSOR_INIT;
    octrt_canceller *canceller = (octrt_canceller *)&frees;
    uint64_t bytes = 1;
    char *json = (char *)&frees;
    INVALID(octrt_session_set_shape(NULL, "input", SHAPES_INPUT, 4));
    INVALID(octrt_session_set_shape(session, "input", NULL, 4));
    INVALID(octrt_session_prepare(NULL));
    INVALID(octrt_session_output_type(NULL, 0, &t));
    INVALID(octrt_session_output(NULL, 0, &t));
    INVALID(octrt_session_memory(NULL, &bytes));
    INVALID(octrt_session_memory(session, NULL));
    INVALID(octrt_session_run(NULL, &t, 1, &t, 1));
    INVALID(octrt_session_run(session, NULL, 1, NULL, 0));
    INVALID(octrt_session_run(session, &t, 1, NULL, 1));
    FAILS(OCTRT_E_INPUT, octrt_session_run(session, NULL, 0, NULL, 0));
    INVALID(octrt_session_bind_input(NULL, &t));
    INVALID(octrt_session_bind_input(session, NULL));
    INVALID(octrt_session_bind_output(NULL, &t));
    INVALID(octrt_session_bind_output(session, NULL));
    INVALID(octrt_session_unbind(NULL));
    INVALID(octrt_session_run_bound(NULL));
    INVALID(octrt_session_profile(NULL, &t, 1, 1, &json));
    INVALID(octrt_session_profile(session, NULL, 1, 1, &json));
    INVALID(octrt_session_profile(session, &t, 1, 1, NULL));
    INVALID(octrt_session_profile(session, &t, 1, 0, &json));
    INVALID(octrt_session_canceller(NULL, &canceller));
    INVALID(octrt_session_canceller(session, NULL));
    CHECK(octrt_cancel(NULL) == 0 && octrt_canceller_retain(NULL) == NULL);
    CHECK(bytes == 1 && json == (char *)&frees && canceller == (octrt_canceller *)&frees);
    octrt_canceller_release(NULL);
    octrt_string_free(NULL);
}

static void nulls_of_pictures(octrt_model *model, const char *picture) {
    static float pixels[PIXELS];
    octrt_preprocessor *out = (octrt_preprocessor *)&frees, *preprocessor = NULL;
    octrt_labels *labels = (octrt_labels *)&frees;
    octrt_tensor input = tensor(pixels, sizeof pixels, NULL, OCTRT_RANK_OF_MODEL);
    octrt_tensor scores = tensor(pixels, CLASSES * sizeof(float), SHAPES_SCORES, 2);
    int64_t class_index = 7;
    size_t count = 7;
    INVALID(octrt_preprocessor_new(NULL, NULL, &out));
    INVALID(octrt_preprocessor_new(model, NULL, NULL));
    OK(octrt_preprocessor_new(model, NULL, &preprocessor));
    INVALID(octrt_preprocessor_input(NULL, &input));
    INVALID(octrt_preprocessor_input(preprocessor, NULL));
    INVALID(octrt_preprocess_file(NULL, picture, &input));
    INVALID(octrt_preprocess_file(preprocessor, NULL, &input));
    INVALID(octrt_preprocess_file(preprocessor, picture, NULL));
    INVALID(octrt_preprocess_memory(NULL, "x", 1, &input));
    INVALID(octrt_preprocess_memory(preprocessor, NULL, 1, &input));
    FAILS(OCTRT_E_CORRUPT, octrt_preprocess_memory(preprocessor, NULL, 0, &input));
    INVALID(octrt_preprocess_memory(preprocessor, "x", 1, NULL));
    INVALID(octrt_preprocess_rgb(NULL, (const uint8_t *)"rgb", 1, 1, 3, &input));
    INVALID(octrt_preprocess_rgb(preprocessor, NULL, 1, 1, 3, &input));
    INVALID(octrt_preprocess_rgb(preprocessor, (const uint8_t *)"rgb", 1, 1, 3, NULL));
    INVALID(octrt_preprocess_rgb(preprocessor, (const uint8_t *)"rgb", 1, 1, 2, &input));
    INVALID(octrt_preprocess_rgb(preprocessor, (const uint8_t *)"rgb", SIZE_MAX, SIZE_MAX / 3, SIZE_MAX, &input));
    input.bytes--;
    FAILS(OCTRT_E_INPUT, octrt_preprocess_file(preprocessor, picture, &input));
    CHECK(strcmp(octrt_preprocessor_description(NULL), "") == 0);
    octrt_preprocessor_free(NULL);
    octrt_preprocessor_free(preprocessor);
    INVALID(octrt_labels_find(NULL, NULL, NULL, &labels));
    INVALID(octrt_labels_find(model, NULL, NULL, NULL));
    FAILS(OCTRT_E_IO, octrt_labels_find(model, "no such file", NULL, &labels));
    CHECK(octrt_labels_count(NULL) == 0 && octrt_labels_name(NULL, 0) == NULL);
    octrt_labels_free(NULL);
    INVALID(octrt_top_k(NULL, 0, &scores, 1, &class_index, NULL, &count));
    INVALID(octrt_top_k(model, 0, NULL, 1, &class_index, NULL, &count));
    INVALID(octrt_top_k(model, 0, &scores, 1, NULL, NULL, &count));
    INVALID(octrt_top_k(model, 1, &scores, 1, &class_index, NULL, &count));
    CHECK(class_index == 7 && count == 7 && out == (octrt_preprocessor *)&frees && labels == (octrt_labels *)&frees);
}

/* Structs of programs that are older or newer than the library. */
static void struct_sizes(const char *path, octrt_model *model, octrt_session *session) {
    struct { octrt_options known; uint64_t unknown; } newer = {OCTRT_OPTIONS_INIT, 0};
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_port port = OCTRT_PORT_INIT;
    static float pixels[PIXELS], scores[CLASSES];
    octrt_tensor input = tensor(pixels, sizeof pixels, SHAPES_INPUT, 4);
    octrt_tensor output = tensor(scores, sizeof scores, SHAPES_SCORES, 2);
    octrt_model *out = NULL;
    memset((char *)&options + offsetof(octrt_options, cache_dir), 0xff, sizeof options - offsetof(octrt_options, cache_dir));
    options.struct_size = offsetof(octrt_options, cache_dir);
    OK(octrt_model_load(path, &options, &out));
    octrt_model_release(out);
    options.struct_size = 0;
    INVALID(octrt_model_load(path, &options, &out));
    options.struct_size = offsetof(octrt_options, cache_dir) - 1;
    INVALID(octrt_model_load(path, &options, &out));
    options.struct_size = SIZE_MAX;
    INVALID(octrt_model_load(path, &options, &out));
    newer.known.struct_size = sizeof newer;
    OK(octrt_model_load(path, &newer.known, &out));
    octrt_model_release(out);
    newer.unknown = 1;
    INVALID(octrt_model_load(path, &newer.known, &out));

    port.struct_size = offsetof(octrt_port, dim_names);
    port.dim_names = (const char *const *)&frees;
    OK(octrt_model_input(model, 0, &port));
    CHECK(port.struct_size == offsetof(octrt_port, dim_names) && port.rank == 4);
    CHECK(port.dim_names == (const char *const *)&frees);

    /* Without a name a tensor goes by its place. */
    input.struct_size = output.struct_size = offsetof(octrt_tensor, name);
    input.name = output.name = "not looked at";
    OK(octrt_session_run(session, &input, 1, &output, 1));
    OK(octrt_session_output_type(session, 0, &output));
    CHECK(strcmp(output.name, "not looked at") == 0 && output.bytes == sizeof scores);
}

/* Values out of their range. */
static void bad_values(const char *path, octrt_session *session, const char *two) {
    static float pixels[PIXELS + CLASSES];
    const int64_t negative[4] = {-1, 3, 64, 64}, huge[4] = {INT64_MAX, 3, 64, 64}, other[4] = {1, 3, 64, 65};
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_tensor good = tensor(pixels, PIXELS * sizeof(float), SHAPES_INPUT, 4), t = good, both[2], out;
    octrt_model *model = NULL;
    octrt_session *second;
    options.threads = -1;
    INVALID(octrt_model_load(path, &options, &model));
    options.threads = 1000000;
    FAILS(OCTRT_E_THREADS, octrt_model_load(path, &options, &model));
    options.threads = 1;
    options.precision = 77;
    INVALID(octrt_model_load(path, &options, &model));
    options.precision = OCTRT_PRECISION_STRICT;
    options.log_level = 77;
    options.max_memory = 10;
    FAILS(OCTRT_E_LIMIT, octrt_model_load(path, &options, &model));
    FAILS(OCTRT_E_IO, octrt_model_load("/", NULL, &model));
    FAILS(OCTRT_E_IO, octrt_model_load("", NULL, &model));

    FAILS(OCTRT_E_INPUT, octrt_session_run(session, &good, 2, NULL, 0));
    t.dtype = OCTRT_F64;
    FAILS(OCTRT_E_INPUT, octrt_session_run(session, &t, 1, NULL, 0));
    t.dtype = 99;
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t = good;
    t.bytes--;
    FAILS(OCTRT_E_INPUT, octrt_session_run(session, &t, 1, NULL, 0));
    t.bytes = SIZE_MAX;
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t = good;
    t.data = NULL;
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t = good;
    t.dims = negative;
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t.dims = huge;
    FAILS(OCTRT_E_INPUT, octrt_session_run(session, &t, 1, NULL, 0));
    t.rank = 65;
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t.rank = -2;
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t = good;
    t.name = "x\xff";
    INVALID(octrt_session_run(session, &t, 1, NULL, 0));
    t.name = "x";
    SAYS(OCTRT_E_INPUT, "'input'", octrt_session_run(session, &t, 1, NULL, 0));
    FAILS(OCTRT_E_INPUT, octrt_session_set_shape(session, "input", other, 4));
    FAILS(OCTRT_E_INPUT, octrt_session_set_shape(session, "input", SHAPES_INPUT, 3));
    FAILS(OCTRT_E_INPUT, octrt_session_set_shape(session, "x", SHAPES_INPUT, 4));
    OK(octrt_session_set_shape(session, "input", huge, 4));
    FAILS(OCTRT_E_LIMIT, octrt_session_prepare(session));
    INVALID(octrt_session_output(session, 1, &t));

    /* Outputs that share memory with something else. */
    out = tensor(pixels, CLASSES * sizeof(float), SHAPES_SCORES, 2);
    SAYS(OCTRT_E_INVALID_ARGUMENT, "overlap", octrt_session_run(session, &good, 1, &out, 1));
    out.data = pixels + PIXELS - 1;
    SAYS(OCTRT_E_INVALID_ARGUMENT, "overlap", octrt_session_run(session, &good, 1, &out, 1));
    out.data = pixels + PIXELS;
    OK(octrt_session_run(session, &good, 1, &out, 1));

    model = load(two, 1);
    second = new_session(model);
    octrt_model_release(model);
    both[0] = both[1] = tensor(pixels, 3 * sizeof(float), (const int64_t[2]){1, 3}, 2);
    both[0].name = "b";
    SAYS(OCTRT_E_INPUT, "twice", octrt_session_run(second, both, 2, NULL, 0));
    both[0].name = NULL;
    OK(octrt_session_run(second, both, 2, NULL, 0));
    OK(octrt_session_output(second, 0, &t));
    both[0] = t;
    both[0].name = "a";
    both[1].name = "b";
    SAYS(OCTRT_E_INVALID_ARGUMENT, "session's own memory", octrt_session_run(second, both, 2, NULL, 0));
    both[0].name = NULL;
    both[1].struct_size = 7;
    INVALID(octrt_session_run(second, both, 2, NULL, 0));
    octrt_session_free(second);
}

/* Bytes of a model: copied, or given back once and not before. */
static void bytes_of_models(const char *path) {
    size_t len;
    unsigned char *bytes = read_file(path, &len), *gone = malloc(len);
    octrt_model *model = NULL, *copy = NULL;
    octrt_session *session;
    octrt_options options = OCTRT_OPTIONS_INIT;
    float pixels[3];
    octrt_tensor both[2];
    CHECK(gone != NULL);
    memcpy(gone, bytes, len);
    OK(octrt_model_load_memory(gone, len, NULL, NULL, NULL, &copy));
    memset(gone, 0xff, len);
    free(gone);
    frees = 0;
    options.max_memory = 10;
    FAILS(OCTRT_E_LIMIT, octrt_model_load_memory(bytes, len, count_free, &frees, &options, &model));
    FAILS(OCTRT_E_CORRUPT, octrt_model_load_memory(bytes, len / 2, count_free, &frees, NULL, &model));
    CHECK(frees == 0);
    OK(octrt_model_load_memory(bytes, len, count_free, &frees, NULL, &model));
    session = new_session(model);
    octrt_model_release(model);
    both[0] = both[1] = tensor(pixels, sizeof pixels, (const int64_t[2]){1, 3}, 2);
    memset(pixels, 0, sizeof pixels);
    OK(octrt_session_run(session, both, 2, NULL, 0));
    octrt_session_free(session);
    CHECK(frees == 1);
    free(bytes);
    session = new_session(copy);
    octrt_model_release(copy);
    OK(octrt_session_run(session, both, 2, NULL, 0));
    octrt_session_free(session);
    CHECK(frees == 1);
}

int main(int argc, char **argv) {
    octrt_model *model;
    octrt_session *session;
    octrt_canceller *canceller = NULL;
    CHECK(argc == 4);
    model = load(argv[1], 1);
    session = new_session(model);
    nulls_of_models(argv[1], model);
    nulls_of_sessions(session);
    nulls_of_pictures(model, argv[2]);
    struct_sizes(argv[1], model, session);
    bad_values(argv[1], session, argv[3]);
    bytes_of_models(argv[3]);
    /* A canceller outlives its session, a session its model. */
    OK(octrt_session_canceller(session, &canceller));
    octrt_model_release(model);
    octrt_session_free(session);
    CHECK(octrt_cancel(canceller) == 0 && octrt_canceller_retain(canceller) == canceller);
    octrt_canceller_release(canceller);
    octrt_canceller_release(canceller);
    return 0;
}
