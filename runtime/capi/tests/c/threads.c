/* Many threads, one session each, or wrongly one session for two; runs ended from outside. Arguments: the shapes model, a
 * picture, a model of two inputs; optional: number of threads, of runs of each, of pictures in
 * the run that is cancelled, largest number of threads of a model. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <time.h>

static float pixels[PIXELS], expected[CLASSES];
static octrt_model *model;
static int runs = 200, batch_size = 64;

static octrt_error *run(octrt_session *session, float *scores) {
    octrt_tensor input = tensor(pixels, sizeof pixels, SHAPES_INPUT, 4);
    octrt_tensor output = tensor(scores, sizeof expected, SHAPES_SCORES, 2);
    return octrt_session_run(session, &input, 1, &output, 1);
}

static void *own_session(void *unused) {
    octrt_session *session = new_session(model);
    int i;
    for (i = 0; i < runs; i++) {
        float scores[CLASSES];
        OK(run(session, scores));
        CHECK(memcmp(scores, expected, sizeof scores) == 0);
    }
    octrt_session_free(session);
    return unused;
}

static void many_sessions(int count) {
    pthread_t *threads = malloc((size_t)count * sizeof *threads);
    int i;
    CHECK(threads != NULL);
    for (i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, own_session, NULL) == 0);
    for (i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    free(threads);
}

typedef struct {
    octrt_session *session;
    int done, busy, other;
} shared_session;

static void *runs_of_two(void *data) {
    shared_session *shared = data;
    int i;
    for (i = 0; i < 4 * runs; i++) {
        float scores[CLASSES];
        octrt_error *e = run(shared->session, scores);
        int32_t code = octrt_error_code(e);
        __atomic_fetch_add(code == OCTRT_OK ? &shared->done : code == OCTRT_E_BUSY ? &shared->busy : &shared->other, 1,
                           __ATOMIC_RELAXED);
        if (code == OCTRT_OK) CHECK(memcmp(scores, expected, sizeof scores) == 0);
        octrt_error_free(e);
    }
    return NULL;
}

/* A session at work, seen from its own log callback: there the second caller is certain to come in between. */
typedef struct {
    octrt_session *session;
    int busy;
} inside;

static void call_again(void *data, int32_t level, const char *message) {
    inside *in = data;
    uint64_t bytes;
    (void)level;
    (void)message;
    if (in->session) {
        FAILS(OCTRT_E_BUSY, octrt_session_memory(in->session, &bytes));
        in->busy++;
    }
}

static void busy(const char *path) {
    shared_session shared = {NULL, 0, 0, 0};
    pthread_t threads[2];
    inside in = {NULL, 0};
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_model *telling = NULL;
    octrt_session *session;
    float scalars[3] = {1, 2, 3};
    octrt_tensor inputs[2];
    int i;
    shared.session = new_session(model);
    for (i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, runs_of_two, &shared) == 0);
    for (i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK(shared.other == 0 && shared.done > 0 && shared.done + shared.busy == 8 * runs);
    octrt_session_free(shared.session);
    options.log = call_again;
    options.log_level = OCTRT_LOG_TRACE;
    options.log_data = &in;
    OK(octrt_model_load(path, &options, &telling));
    session = new_session(telling);
    in.session = session;
    inputs[0] = inputs[1] = tensor(scalars, sizeof scalars, (const int64_t[2]){1, 3}, 2);
    OK(octrt_session_run(session, inputs, 2, NULL, 0));
    in.session = NULL;
    CHECK(in.busy > 0);
    octrt_session_free(session);
    octrt_model_release(telling);
    printf("one session, two threads: %d runs, %d times OCTRT_E_BUSY\n", shared.done, shared.busy);
}

/* Cancels as soon as there is a run. */
static void *end_a_run(void *canceller) {
    const struct timespec pause = {0, 100000};
    while (!octrt_cancel(canceller)) nanosleep(&pause, NULL);
    return NULL;
}

static double now_ms(void) {
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void cancel(void) {
    const int64_t dims[4] = {batch_size, 3, 64, 64};
    float *batch = calloc((size_t)batch_size, sizeof pixels), scores[CLASSES];
    octrt_session *session = new_session(model);
    octrt_canceller *canceller = NULL;
    octrt_tensor input;
    pthread_t thread;
    double start;
    int32_t code;
    CHECK(batch != NULL);
    input = tensor(batch, (size_t)batch_size * sizeof pixels, dims, 4);
    OK(octrt_session_canceller(session, &canceller));
    OK(octrt_session_run(session, &input, 1, NULL, 0));
    /* Without a run nothing happens, now or later. */
    CHECK(octrt_cancel(canceller) == 0);
    OK(octrt_session_run(session, &input, 1, NULL, 0));
    CHECK(pthread_create(&thread, NULL, end_a_run, canceller) == 0);
    /* A run may be over before the other thread finds it. */
    do {
        octrt_error *error;
        start = now_ms();
        error = octrt_session_run(session, &input, 1, NULL, 0);
        code = octrt_error_code(error);
        octrt_error_free(error);
    } while (code == OCTRT_OK);
    CHECK(code == OCTRT_E_CANCELLED);
    printf("a cancelled run of %d pictures: %.2f ms\n", batch_size, now_ms() - start);
    CHECK(pthread_join(thread, NULL) == 0);
    FAILS(OCTRT_E_STATE, octrt_session_output(session, 0, &input));
    OK(run(session, scores));
    CHECK(memcmp(scores, expected, sizeof scores) == 0);
    octrt_session_free(session);
    CHECK(octrt_cancel(canceller) == 0);
    octrt_canceller_release(canceller);
    free(batch);
}

int main(int argc, char **argv) {
    octrt_session *session;
    int32_t pool, largest = argc > 7 ? atoi(argv[7]) : 2;
    CHECK(argc >= 4);
    if (argc > 5) runs = atoi(argv[5]);
    if (argc > 6) batch_size = atoi(argv[6]);
    fill(pixels, PIXELS, 1);
    for (pool = 1; pool <= largest; pool++) {
        model = load(argv[1], pool);
        session = new_session(model);
        if (pool == 1) OK(run(session, expected));
        octrt_session_free(session);
        /* Callers wait for each other's runs in a pool. */
        if (pool > 1) runs = (runs + 7) / 8;
        many_sessions(argc > 4 ? atoi(argv[4]) : 64);
        busy(argv[3]);
        cancel();
        octrt_model_release(model);
    }
    return 0;
}
