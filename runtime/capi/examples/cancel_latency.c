/*
 * How long a run goes on after it was cancelled: cancel_latency MODEL [THREADS [RUNS]]
 *
 * Prints the median and the largest time from octrt_cancel to the return of octrt_session_run, over runs that are
 * cancelled at moments spread over the length of a run.
 */
#define _POSIX_C_SOURCE 200809L
#include <octrt.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(octrt_error *error) {
    if (error) {
        fprintf(stderr, "cancel_latency: %s\n", octrt_error_message(error));
        exit(1);
    }
}

typedef struct {
    octrt_canceller *canceller;
    double delay_ms, cancelled_at;
    int had_run;
} plan;

static void *cancel_later(void *data) {
    plan *p = data;
    struct timespec t;
    t.tv_sec = (time_t)(p->delay_ms / 1e3);
    t.tv_nsec = (long)((p->delay_ms - (double)t.tv_sec * 1e3) * 1e6);
    nanosleep(&t, NULL);
    p->cancelled_at = now_ms();
    p->had_run = octrt_cancel(p->canceller);
    return NULL;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    octrt_options options = OCTRT_OPTIONS_INIT;
    octrt_model *model = NULL;
    octrt_session *session = NULL;
    octrt_tensor input = OCTRT_TENSOR_INIT;
    octrt_port port = OCTRT_PORT_INIT;
    int64_t dims[OCTRT_MAX_RANK];
    int runs = argc > 3 ? atoi(argv[3]) : 50, count = 0, i;
    double *latencies, whole;
    size_t elements = 1;
    plan p;
    pthread_t thread;

    if (argc < 2 || runs < 1) return 2;
    options.threads = argc > 2 ? atoi(argv[2]) : 1;
    check(octrt_model_load(argv[1], &options, &model));
    check(octrt_session_new(model, &session));
    check(octrt_session_canceller(session, &p.canceller));
    check(octrt_model_input(model, 0, &port));
    for (i = 0; i < port.rank; i++) {
        dims[i] = port.dims[i] < 0 ? 1 : port.dims[i];
        elements *= (size_t)dims[i];
    }
    input.dims = dims;
    input.rank = port.rank;
    input.bytes = elements * sizeof(float);
    input.data = calloc(elements, sizeof(float));
    latencies = calloc((size_t)runs, sizeof *latencies);
    if (!input.data || !latencies) return 1;
    check(octrt_session_run(session, &input, 1, NULL, 0));
    whole = now_ms();
    check(octrt_session_run(session, &input, 1, NULL, 0));
    whole = now_ms() - whole;

    for (i = 0; i < runs; i++) {
        octrt_error *error;
        double end;
        p.delay_ms = whole * (i + 0.5) / runs;
        if (pthread_create(&thread, NULL, cancel_later, &p)) return 1;
        error = octrt_session_run(session, &input, 1, NULL, 0);
        end = now_ms();
        pthread_join(thread, NULL);
        if (octrt_error_code(error) == OCTRT_E_CANCELLED) latencies[count++] = end - p.cancelled_at;
        octrt_error_free(error);
    }
    qsort(latencies, (size_t)count, sizeof *latencies, by_size);
    if (count > 0) {
        printf("%d of %d runs cancelled; a whole run %.1f ms, median latency %.3f ms, largest %.3f ms\n", count, runs,
               whole, latencies[count / 2], latencies[count - 1]);
    }
    octrt_canceller_release(p.canceller);
    octrt_session_free(session);
    octrt_model_release(model);
    free(input.data);
    free(latencies);
    return count > 0 ? 0 : 1;
}
