/* A child of a fork works, or says that it cannot; the parent goes on. Argument: the shapes model. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

static float pixels[PIXELS], scores[CLASSES];

static octrt_error *run(octrt_session *session) {
    octrt_tensor input = tensor(pixels, sizeof pixels, SHAPES_INPUT, 4);
    octrt_tensor output = tensor(scores, sizeof scores, SHAPES_SCORES, 2);
    return octrt_session_run(session, &input, 1, &output, 1);
}

/* Calls `child` in a child process, which ends after a minute at the latest. */
static void in_child(void (*child)(octrt_model *, octrt_session *, const char *), octrt_model *model,
                     octrt_session *session, const char *path) {
    int status = -1;
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
        child(model, session, path);
        octrt_session_free(session);
        octrt_model_release(model);
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void works(octrt_model *model, octrt_session *session, const char *path) {
    const int64_t two[4] = {2, 3, 64, 64};
    octrt_session *second = new_session(model);
    octrt_model *third = load(path, 1);
    OK(run(session));
    OK(octrt_session_set_shape(second, NULL, two, 4));
    OK(octrt_session_prepare(second));
    OK(run(second));
    octrt_session_free(second);
    octrt_model_release(third);
}

static void says_forked(octrt_model *model, octrt_session *session, const char *path) {
    octrt_model *again;
    octrt_session *second;
    (void)model;
    SAYS(OCTRT_E_FORKED, "fork", run(session));
    again = load(path, 2);
    second = new_session(again);
    OK(run(second));
    octrt_session_free(second);
    octrt_model_release(again);
}

int main(int argc, char **argv) {
    int32_t threads;
    CHECK(argc == 4);
    fill(pixels, PIXELS, 1);
    for (threads = 1; threads <= 2; threads++) {
        octrt_model *model = load(argv[1], threads);
        octrt_session *session = new_session(model);
        OK(run(session));
        in_child(threads == 1 ? works : says_forked, model, session, argv[1]);
        OK(run(session));
        octrt_session_free(session);
        octrt_model_release(model);
    }
    return 0;
}
