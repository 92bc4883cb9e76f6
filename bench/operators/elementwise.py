"""Operators of single elements, and matrices made of positions."""

import numpy as np
from onnx import helper

from draw import F16, F32, F64, INTEGERS, UNSIGNED, Config, Draw

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)


def data(d: Draw, i: int, dtype, scale: float = 4.0) -> np.ndarray:
    """Any rank, any extents; every third time with a NaN, infinities and zeros."""
    rank = d.between(0, 5)
    shape = list(d.shape(rank, 1, 7))
    if rank and i % 11 == 10:
        shape[d.below(rank)] = 0
    x = np.asarray(d.rng.uniform(-scale, scale, shape), dtype=dtype)
    if i % 3 == 2:
        for special in SPECIAL[: x.size]:
            x.reshape(-1)[d.below(x.size)] = special
    return x


def function(opsets, dtypes, scale=4.0, **choices):
    """An operator of one tensor: opsets, element types, attributes with what they are picked from."""

    def draw_config(d: Draw, i: int) -> Config:
        x = data(d, i, dtypes[i % len(dtypes)], scale)
        attributes = {name: d.maybe(d.number(*ends), 0.7) for name, ends in choices.items()}
        return Config([x], d.pick(opsets), attributes)

    return draw_config


def gelu(d: Draw, i: int) -> Config:
    # Below -3 the terms cancel, and ONNX Runtime has few digits left.
    return Config([data(d, i, (F32, F32, F16)[i % 3], 3.0)], 20, {"approximate": d.pick([None, "none", "tanh"])})


def shrink(d: Draw, i: int) -> Config:
    dtype = (F32, F64, F16, *INTEGERS)[i % 11]
    attributes = {"lambd": d.maybe(d.number(0.1, 2.0), 0.7), "bias": d.maybe(d.number(-1.0, 2.0), 0.7)}
    if np.issubdtype(dtype, np.integer):
        bias = d.pick([None, 0.0, 1.0])
        attributes = {"lambd": d.pick([1.5, 2.0]), "bias": bias}
        return Config([d.values(d.shape(d.between(0, 4)), dtype)], 9, attributes)
    return Config([data(d, i, dtype)], 9, attributes)


def sign(d: Draw, i: int) -> Config:
    dtype = (F32, F64, F16, *INTEGERS)[i % 11]
    x = data(d, 0, dtype) if np.issubdtype(dtype, np.floating) else d.values(d.shape(d.between(0, 4)), dtype)
    return Config([x], d.pick([9, 13]))


def is_nan(d: Draw, i: int) -> Config:
    dtype = (F32, F64, F16)[i % 3]
    return Config([data(d, d.pick([2, 2, i]), dtype)], d.pick([9, 13, 20]))


def is_inf(d: Draw, i: int) -> Config:
    opset = (10, 20)[i % 2]
    dtype = (F32, F64, F16)[d.below(3 if opset == 20 else 2)]
    attributes = {"detect_positive": d.pick([None, 0, 1]), "detect_negative": d.pick([None, 0, 1])}
    return Config([data(d, d.pick([2, 2, i]), dtype)], opset, attributes)


def broadcast(d: Draw, i: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast to one of rank 4 at most; in every twelfth configuration without elements."""
    full = d.shape(d.between(0, 4), 1, 6)
    shapes = []
    for _ in range(2):
        kept = full[d.below(len(full) + 1) if d.chance(0.4) else 0 :]
        shapes.append(tuple(1 if d.chance(0.25) else extent for extent in kept))
    a, b = shapes
    if i % 12 == 11:
        a = (0,) + (1,) * (len(b) - len(a)) + a
    return a, b


def modulo(d: Draw, i: int) -> Config:
    dtype = (*INTEGERS, F32, F64, F16)[i % 11]
    a, b = broadcast(d, i)
    if np.issubdtype(dtype, np.floating):
        return Config([d.floats(a, 9.0, dtype), d.floats(b, 3.0, dtype)], d.pick([10, 13]), {"fmod": 1})
    divisor = d.values(b, dtype)
    divisor[divisor == 0] = 7
    x = d.full_range(a, dtype) if d.chance(0.3) else d.values(a, dtype)
    return Config([x, divisor], d.pick([10, 13]), {"fmod": d.pick([None, 0, 1])}, constants=d.some([1]))


def bit_shift(d: Draw, i: int) -> Config:
    dtype = UNSIGNED[i % 4]
    a, b = broadcast(d, i)
    last = np.iinfo(dtype).bits - 1
    return Config([d.full_range(a, dtype), d.ints(b, 0, last, dtype)], 11, {"direction": d.pick(["LEFT", "RIGHT"])})


def bitwise(d: Draw, i: int) -> Config:
    dtype = INTEGERS[i % 8]
    a, b = broadcast(d, i)
    return Config([d.full_range(a, dtype), d.full_range(b, dtype)], 18, constants=d.some([1]))


def bitwise_not(d: Draw, i: int) -> Config:
    return Config([d.full_range(d.shape(d.between(0, 5)), INTEGERS[i % 8])], 18)


def size(d: Draw, i: int) -> Config:
    rank = d.between(0, 5)
    x = d.values(d.shape(rank, 0 if i % 5 == 4 else 1, 6), (F32, F64, F16, np.bool_, *INTEGERS)[i % 12])
    return Config([x], d.pick([1, 13, 19, 21, 23]))


def trilu(d: Draw, i: int) -> Config:
    shape = d.shape(d.between(2, 4), 0 if i % 9 == 8 else 1, 7)
    x = d.values(shape, (F32, F64, np.int64, np.bool_)[i % 4])
    k = [np.array(d.between(-8, 8), dtype=np.int64)] if d.chance(0.8) else []
    return Config([x, *k], 14, {"upper": d.pick([None, 0, 1])}, constants=d.some([1]))


def eye_like(d: Draw, i: int) -> Config:
    dtypes = (F32, F64, np.int32, np.int64, np.uint64)
    to = d.maybe(int(helper.np_dtype_to_tensor_dtype(np.dtype(d.pick(dtypes)))), 0.6)
    x = d.values(d.shape(2, 1, 7), d.pick(dtypes))
    return Config([x], d.pick([9, 22]), {"k": d.maybe(d.between(-7, 7), 0.7), "dtype": to})


def one_hot(d: Draw, i: int) -> Config:
    i32, i64 = np.int32, np.int64
    kinds = ((i64, i64, i64), (F32, F32, F32), (i64, i64, F32), (i32, i32, F32), (i64, i32, F32))
    index, count, value = kinds[i % 5]
    rank = d.between(1, 3)
    depth = d.between(1, 7)
    indices = d.ints(d.sometimes_empty(d.shape(rank, 1, 5), i), -depth - 1, depth).astype(index)
    numbers = d.values((2,), value)
    at = np.array(depth, dtype=count)
    inputs = [indices, at.reshape(1) if d.chance(0.5) else at, numbers]
    attributes = {"axis": d.maybe(d.between(-rank - 1, rank), 0.7)}
    return Config(inputs, (9, 11)[i % 3 > 0], attributes, constants=[1, *d.some([2])])


FLOATS = (F32, F64)
OPERATORS = {
    "Gelu": gelu,
    "Mish": function((18, 22), (F32, F64, F16)),
    "Swish": function((24,), (F32, F32, F16), alpha=(-1.0, 2.0)),
    "Selu": function((6, 22), (F32,), alpha=(0.5, 2.0), gamma=(0.5, 2.0)),
    "Celu": function((12,), (F32,), alpha=(0.3, 2.0)),
    "ThresholdedRelu": function((10, 22), (F32,), alpha=(-1.0, 2.0)),
    "Shrink": shrink,
    "Sin": function((7, 22), FLOATS, 40.0),
    "Cos": function((7, 22), FLOATS, 40.0),
    "Tan": function((7, 22), (F32,), 10.0),
    "Asin": function((7, 22), (F32,), 1.1),
    "Acos": function((7, 22), (F32,), 1.1),
    "Atan": function((7, 22), (F32,), 9.0),
    "Sinh": function((9, 22), (F32,), 6.0),
    "Cosh": function((9, 22), (F32,), 6.0),
    "Asinh": function((9, 22), (F32,), 30.0),
    "Acosh": function((9, 22), (F32,), 30.0),
    "Atanh": function((9, 22), (F32,), 1.1),
    "Sign": sign,
    "IsNaN": is_nan,
    "IsInf": is_inf,
    "Mod": modulo,
    "BitShift": bit_shift,
    "BitwiseAnd": bitwise,
    "BitwiseNot": bitwise_not,
    "BitwiseOr": bitwise,
    "BitwiseXor": bitwise,
    "Size": size,
    "Trilu": trilu,
    "EyeLike": eye_like,
    "OneHot": one_hot,
}
