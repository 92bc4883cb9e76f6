"""Operators of domain com.microsoft that ONNX Runtime's quantiser writes."""

import numpy as np

from draw import F32, Config, Draw
from elementwise import broadcast
from pooling import window
from quantised import BYTES, scales, zeros

MICROSOFT = "com.microsoft"


def config(d: Draw, inputs, **attributes) -> Config:
    constants = [p for p in range(len(inputs)) if inputs[p] is not None and np.size(inputs[p]) == 1]
    given = [None if v is None else np.asarray(v) for v in inputs]
    return Config(given, 17, attributes, constants=d.some(constants), domain=MICROSOFT)


def tensor(d: Draw, shape, dtype) -> list[np.ndarray]:
    """Values, scale, zero point."""
    return [d.full_range(shape, dtype), scales(d), zeros(d, (), dtype)]


def qlinear_binary(factor: float):
    def draw_config(d: Draw, i: int) -> Config:
        dtype = BYTES[i % 2]
        a, b = broadcast(d, i)
        return config(d, [*tensor(d, a, dtype), *tensor(d, b, dtype), scales(d) * F32(factor), zeros(d, (), dtype)])

    return draw_config


def qlinear_leaky_relu(d: Draw, i: int) -> Config:
    dtype = BYTES[i % 2]
    inputs = [*tensor(d, d.shape(d.between(0, 4)), dtype), scales(d), zeros(d, (), dtype)]
    return config(d, inputs, alpha=d.maybe(d.number(0.01, 0.5)))


def qlinear_sigmoid(d: Draw, i: int) -> Config:
    dtype = BYTES[i % 2]
    y_zero = np.array(0 if dtype == np.uint8 else -128, dtype=dtype)
    return config(d, [*tensor(d, d.shape(d.between(0, 4)), dtype), F32(1 / 256), y_zero])


def qlinear_global_average_pool(d: Draw, i: int) -> Config:
    dtype = BYTES[i % 2]
    shape = d.shape(2, 1, 3) + d.shape(d.between(1, 3), 1, 6)
    return config(d, [*tensor(d, shape, dtype), scales(d), zeros(d, (), dtype)], channels_last=d.pick([None, 0]))


def qlinear_average_pool(d: Draw, i: int) -> Config:
    dtype = BYTES[i % 2]
    spatial, attributes = window(d, (2, 2, 1, 3)[i // 2 % 4], 0)
    attributes["count_include_pad"] = d.pick([None, 0, 1])
    shape = (d.between(1, 2), d.between(1, 3), *spatial)
    return config(d, [*tensor(d, shape, dtype), scales(d), zeros(d, (), dtype)], **attributes)


def qlinear_concat(d: Draw, i: int) -> Config:
    dtype = BYTES[i % 2]
    rank = d.between(1, 4)
    shape, axis = list(d.shape(rank)), d.axis(rank)
    inputs = [scales(d), zeros(d, (), dtype)]
    for _ in range(d.between(1, 4)):
        shape[axis] = d.between(1, 5)
        inputs += tensor(d, shape, dtype)
    return config(d, inputs, axis=axis)


def qgemm(d: Draw, i: int) -> Config:
    a, b = d.pick([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
    inner, (rows, columns) = d.between(1, 9), d.sometimes_empty(d.shape(2, 1, 9), i)
    turn_a, turn_b = d.pick([None, 0, 1]), d.pick([None, 0, 1])
    of = (columns,) if d.chance(0.3) else ()
    x = d.full_range((inner, rows) if turn_a else (rows, inner), a)
    w = d.full_range((columns, inner) if turn_b else (inner, columns), b)
    bias = d.maybe(d.ints(d.pick([(columns,), (1, columns), (rows, columns)]), -900, 900, np.int32))
    inputs = [x, scales(d), zeros(d, (), a), w, scales(d, of), zeros(d, of, b), bias]
    if d.chance(0.7):
        inputs += [scales(d) * F32(60), zeros(d, (), a)]
    elif bias is None:
        inputs.pop()
    return config(d, inputs, alpha=d.maybe(d.number(0.5, 2.0)), transA=turn_a, transB=turn_b)


def quantize_linear(d: Draw, i: int) -> Config:
    dtype = (np.uint8, np.int8, np.uint16, np.int16)[i % 4]
    rank = d.between(1, 4)
    shape, axis = d.sometimes_empty(d.shape(rank), i), d.axis(rank)
    of = (shape[axis],) if d.chance(0.5) else ()
    x = np.asarray(d.rng.uniform(-20, 20, shape), dtype=F32)
    return config(d, [x, scales(d, of), zeros(d, of, dtype)], axis=axis if of else None)


def dequantize_linear(d: Draw, i: int) -> Config:
    dtype = (np.uint8, np.int8, np.uint16, np.int16)[i % 4]
    rank = d.between(1, 4)
    shape, axis = d.sometimes_empty(d.shape(rank), i), d.axis(rank)
    of = (shape[axis],) if d.chance(0.5) else ()
    return config(d, [d.full_range(shape, dtype), scales(d, of), zeros(d, of, dtype)], axis=axis if of else None)


# The standard has operators named QuantizeLinear and DequantizeLinear too: the names of the cases tell them apart.
OPERATORS = {
    "QGemm": qgemm,
    "QLinearAdd": qlinear_binary(1.0),
    "QLinearAveragePool": qlinear_average_pool,
    "QLinearConcat": qlinear_concat,
    "QLinearGlobalAveragePool": qlinear_global_average_pool,
    "QLinearLeakyRelu": qlinear_leaky_relu,
    "QLinearMul": qlinear_binary(8.0),
    "QLinearSigmoid": qlinear_sigmoid,
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
}
