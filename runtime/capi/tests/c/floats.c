/* The floating point state and the signal mask of the caller change nothing and are not changed. Argument: a model. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <signal.h>

/* Exceptions unmasked (divisions by zero, overflows, invalid operations trap), round up, flush to zero, denormals are
 * zero. Bits 7 to 12 mask; those of inexact, underflow and denormal stay set, so that this file itself can compute. */
enum { ODD_MXCSR = 0x8040 | 0x4000 | 0x1900 | 0x0020, ODD_X87 = 0x0b72 };

typedef struct {
    unsigned char x87[28];
    unsigned mxcsr;
} state;

static state current(void) {
    state s;
    memset(&s, 0, sizeof s);
    /* fnstenv masks all exceptions: the environment is loaded again. */
    __asm__ volatile("fnstenv %0\n\tfldenv %0" : "+m"(s.x87));
    __asm__ volatile("stmxcsr %0" : "=m"(s.mxcsr));
    return s;
}

static void make_odd(void) {
    unsigned mxcsr = ODD_MXCSR;
    unsigned short x87 = ODD_X87;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    __asm__ volatile("fldcw %0" : : "m"(x87));
}

static void make_default(void) {
    unsigned mxcsr = 0x1f80;
    __asm__ volatile("fninit\n\tldmxcsr %0" : : "m"(mxcsr));
}

static int callbacks;

static void log_line(void *data, int32_t level, const char *message) {
    (void)level;
    (void)message;
    state s = current();
    CHECK((s.mxcsr & 0xffc0) == (((state *)data)->mxcsr & 0xffc0));
    CHECK(memcmp(s.x87, ((state *)data)->x87, 2) == 0);
    callbacks++;
}

/* Everything that computes: a picture becomes scores and classes. The words 4 to 6 of the x87 environment are addresses
 * of instructions, which the processor forgets at will. */
#define SAME(before, call)                                                            \
    do {                                                                              \
        state after;                                                                  \
        OK(call);                                                                     \
        after = current();                                                            \
        CHECK(after.mxcsr == (before).mxcsr && memcmp(after.x87, (before).x87, 12) == 0); \
    } while (0)

static void all(const char *path, const char *picture, int is_odd, float *scores, int64_t *best) {
    static float pixels[PIXELS];
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_model *model = NULL;
    octrt_session *session = NULL;
    octrt_preprocessor *preprocessor = NULL;
    octrt_labels *labels = NULL;
    octrt_tensor input = OCTRT_TENSOR_INIT, output = tensor(scores, CLASSES * sizeof(float), SHAPES_SCORES, 2);
    char *json = NULL;
    sigset_t mask, found;
    state before;
    int i;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    CHECK(sigprocmask(SIG_SETMASK, &mask, NULL) == 0);
    if (is_odd) make_odd();
    before = current();
    options.threads = 2;
    options.log_level = OCTRT_LOG_TRACE;
    options.log = log_line;
    options.log_data = &before;
    SAME(before, octrt_model_load(path, &options, &model));
    SAME(before, octrt_session_new(model, &session));
    SAME(before, octrt_preprocessor_new(model, NULL, &preprocessor));
    SAME(before, octrt_preprocessor_input(preprocessor, &input));
    input.data = pixels;
    SAME(before, octrt_preprocess_file(preprocessor, picture, &input));
    SAME(before, octrt_session_run(session, &input, 1, &output, 1));
    SAME(before, octrt_session_profile(session, &input, 1, 1, &json));
    SAME(before, octrt_top_k(model, 0, &output, 3, best, NULL, NULL));
    SAME(before, octrt_labels_find(model, NULL, NULL, &labels));
    octrt_labels_free(labels);
    octrt_preprocessor_free(preprocessor);
    octrt_string_free(json);
    octrt_session_free(session);
    octrt_model_release(model);
    SAME(before, NULL);
    make_default();
    CHECK(sigprocmask(SIG_SETMASK, NULL, &found) == 0);
    for (i = 1; i < 32; i++) CHECK(sigismember(&found, i) == (i == SIGUSR1));
}

int main(int argc, char **argv) {
    float scores[CLASSES], odd_scores[CLASSES];
    int64_t best[3], odd_best[3];
    CHECK(argc == 4);
    all(argv[1], argv[2], 0, scores, best);
    all(argv[1], argv[2], 1, odd_scores, odd_best);
    CHECK(callbacks > 0);
    CHECK(memcmp(scores, odd_scores, sizeof scores) == 0 && memcmp(best, odd_best, sizeof best) == 0);
    return 0;
}
