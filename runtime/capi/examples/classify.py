"""Labels a picture with liboctrt through ctypes: classify.py LIBOCTRT MODEL PICTURE"""

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_double, c_int32, c_int64, c_size_t, c_void_p, sizeof


class Tensor(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_size_t),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("dims", POINTER(c_int64)),
        ("data", c_void_p),
        ("bytes", c_size_t),
        ("name", c_char_p),
    ]


def main(library, model_path, picture):
    lib = ctypes.CDLL(library)
    for name in ("octrt_error_message", "octrt_labels_name"):
        getattr(lib, name).restype = c_char_p

    def call(name, *args):
        function = getattr(lib, name)
        function.restype = c_void_p
        error = function(*args)
        if error:
            message = lib.octrt_error_message(c_void_p(error)).decode()
            lib.octrt_error_free(c_void_p(error))
            raise RuntimeError(message)

    model, session, preprocessor, labels = (c_void_p() for _ in range(4))
    call("octrt_model_load", model_path.encode(), None, byref(model))
    call("octrt_preprocessor_new", model, None, byref(preprocessor))
    tensor, scores = (Tensor(struct_size=sizeof(Tensor)) for _ in range(2))
    call("octrt_preprocessor_input", preprocessor, byref(tensor))
    pixels = ctypes.create_string_buffer(tensor.bytes)
    tensor.data = ctypes.addressof(pixels)
    call("octrt_preprocess_file", preprocessor, picture.encode(), byref(tensor))
    call("octrt_session_new", model, byref(session))
    call("octrt_session_run", session, byref(tensor), c_size_t(1), None, c_size_t(0))
    call("octrt_session_output", session, c_size_t(0), byref(scores))
    best, probability = c_int64(), c_double()
    call("octrt_top_k", model, c_size_t(0), byref(scores), c_size_t(1), byref(best), byref(probability), None)
    call("octrt_labels_find", model, None, None, byref(labels))
    print(f"{probability.value:.4f} {best.value} {(lib.octrt_labels_name(labels, best) or b'').decode()}")
    for free, handle in [("labels_free", labels), ("session_free", session), ("preprocessor_free", preprocessor)]:
        getattr(lib, "octrt_" + free)(handle)
    lib.octrt_model_release(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
