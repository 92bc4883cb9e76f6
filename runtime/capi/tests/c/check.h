/* Assertions of the C tests: a failure names its place and ends the program with 1. */
#ifndef CHECK_H
#define CHECK_H

#include <octrt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition) check((condition) != 0, #condition, __FILE__, __LINE__)
/* The call succeeds. */
#define OK(call) check_code((call), OCTRT_OK, NULL, #call, __FILE__, __LINE__)
/* The call fails with this code. */
#define FAILS(code, call) check_code((call), (code), NULL, #call, __FILE__, __LINE__)
/* The call fails with this code, and its message contains this text. */
#define SAYS(code, text, call) check_code((call), (code), (text), #call, __FILE__, __LINE__)

static inline void check(int condition, const char *what, const char *file, int line) {
    if (!condition) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
        exit(1);
    }
}

static inline void check_code(octrt_error *error, int32_t code, const char *text, const char *what,
                              const char *file, int line) {
    if (octrt_error_code(error) != code || (text && !strstr(octrt_error_message(error), text))) {
        fprintf(stderr, "%s:%d: %s\n  expected %s %s\n  found %s: %s\n", file, line, what, octrt_code_name(code),
                text ? text : "", octrt_code_name(octrt_error_code(error)), octrt_error_message(error));
        exit(1);
    }
    octrt_error_free(error);
}

static inline octrt_model *load(const char *path, int32_t threads) {
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_model *model = NULL;
    options.threads = threads;
    OK(octrt_model_load(path, &options, &model));
    return model;
}

static inline octrt_session *new_session(const octrt_model *model) {
    octrt_session *session = NULL;
    OK(octrt_session_new(model, &session));
    return session;
}

/* A tensor of the caller; the shape is the session's when rank is OCTRT_RANK_OF_MODEL. */
static inline octrt_tensor tensor(void *data, size_t bytes, const int64_t *dims, int32_t rank) {
    octrt_tensor t = OCTRT_TENSOR_INIT;
    t.data = data;
    t.bytes = bytes;
    t.dims = dims;
    t.rank = rank;
    return t;
}

/* The content of a file, which the caller frees. */
static inline unsigned char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes;
    long end;
    CHECK(file != NULL);
    CHECK(fseek(file, 0, SEEK_END) == 0);
    end = ftell(file);
    CHECK(end > 0 && fseek(file, 0, SEEK_SET) == 0);
    *len = (size_t)end;
    bytes = malloc(*len);
    CHECK(bytes != NULL && fread(bytes, 1, *len, file) == *len);
    fclose(file);
    return bytes;
}

/* The input and the scores of the model that the repository carries. */
enum { PIXELS = 3 * 64 * 64, CLASSES = 10 };
static const int64_t SHAPES_INPUT[4] = {1, 3, 64, 64};
static const int64_t SHAPES_SCORES[2] = {1, CLASSES};

/* Pixels that are the same each time. */
static inline void fill(float *pixels, size_t count, unsigned seed) {
    size_t i;
    for (i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        pixels[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

#endif
