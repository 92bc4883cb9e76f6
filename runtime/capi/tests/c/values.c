/* An input that decides a shape. Arguments: those of all programs, then a model that reshapes x, f32[2,3,4], to `shape`. */
#include "check.h"

static void fill_shape(int64_t *shape, int64_t a, int64_t b) {
    shape[0] = a;
    shape[1] = b;
}

int main(int argc, char **argv) {
    const int64_t x_dims[3] = {2, 3, 4}, two[1] = {2}, three[1] = {3};
    int64_t shape[3] = {6, 4, 1};
    float x[24], y[24];
    int i;
    octrt_model *model;
    octrt_session *session;
    octrt_tensor inputs[2], output = OCTRT_TENSOR_INIT, value = OCTRT_TENSOR_INIT;
    CHECK(argc == 5);
    model = load(argv[4], 1);
    session = new_session(model);
    CHECK(octrt_model_input_decides_shapes(model, 0) == 0 && octrt_model_input_decides_shapes(model, 1) == 1);
    CHECK(octrt_model_input_decides_shapes(model, 2) == 0 && octrt_model_input_decides_shapes(NULL, 1) == 0);
    for (i = 0; i < 24; i++) x[i] = (float)i;
    inputs[0] = tensor(x, sizeof x, x_dims, 3);
    inputs[1] = tensor(shape, 2 * sizeof shape[0], two, 1);
    inputs[1].name = "shape";

    /* Types alone are not enough to compile; with the value they are. */
    FAILS(OCTRT_E_STATE, octrt_session_output_type(session, 0, &output));
    SAYS(OCTRT_E_INPUT, "'shape'", octrt_session_prepare(session));
    FAILS(OCTRT_E_STATE, octrt_session_value(session, 1, &value));
    OK(octrt_session_set_value(session, &inputs[1]));
    OK(octrt_session_prepare(session));
    OK(octrt_session_output_type(session, 0, &output));
    CHECK(output.rank == 2 && output.dims[0] == 6 && output.dims[1] == 4);
    OK(octrt_session_value(session, 1, &value));
    CHECK(value.dtype == OCTRT_I64 && value.rank == 1 && value.dims[0] == 2 && value.bytes == 16);
    CHECK(memcmp(value.data, shape, value.bytes) == 0 && strcmp(value.name, "shape") == 0);
    FAILS(OCTRT_E_STATE, octrt_session_value(session, 0, &value));
    FAILS(OCTRT_E_INVALID_ARGUMENT, octrt_session_value(session, 2, &value));
    FAILS(OCTRT_E_INVALID_ARGUMENT, octrt_session_value(session, 1, NULL));

    /* Runs with values that change. */
    for (i = 1; i <= 12; i++) {
        if (24 % i != 0) continue;
        fill_shape(shape, i, 24 / i);
        OK(octrt_session_run(session, inputs, 2, NULL, 0));
        OK(octrt_session_output(session, 0, &output));
        CHECK(output.dims[0] == i && output.dims[1] == 24 / i && memcmp(output.data, x, sizeof x) == 0);
        OK(octrt_session_value(session, 1, &value));
        CHECK(((const int64_t *)value.data)[0] == i);
    }
    /* Into the caller's buffer, whose shape is that of the value. */
    output = tensor(y, sizeof y, NULL, OCTRT_RANK_OF_MODEL);
    fill_shape(shape, 3, -1);
    OK(octrt_session_run(session, inputs, 2, &output, 1));
    CHECK(memcmp(x, y, sizeof x) == 0);

    /* Values that do not fit. */
    fill_shape(shape, 5, 5);
    SAYS(OCTRT_E_INPUT, "[5, 5]", octrt_session_run(session, inputs, 2, NULL, 0));
    inputs[1].dtype = OCTRT_F64;
    SAYS(OCTRT_E_INPUT, "i64[2]", octrt_session_set_value(session, &inputs[1]));
    SAYS(OCTRT_E_INPUT, "i64[2]", octrt_session_run(session, inputs, 2, NULL, 0));
    inputs[1].dtype = OCTRT_I64;
    inputs[1].dims = three;
    inputs[1].bytes = 3 * sizeof shape[0];
    SAYS(OCTRT_E_INPUT, "i64[2]", octrt_session_set_value(session, &inputs[1]));
    FAILS(OCTRT_E_INVALID_ARGUMENT, octrt_session_set_value(session, NULL));
    FAILS(OCTRT_E_INVALID_ARGUMENT, octrt_session_set_value(NULL, &inputs[1]));
    octrt_session_free(session);
    octrt_model_release(model);
    return 0;
}
