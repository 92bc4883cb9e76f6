"""Quantised operators of the standard."""

import numpy as np
from onnx import helper

from draw import F16, F32, Config, Draw, without_tail

BYTES = (np.uint8, np.int8)


def scales(d: Draw, shape=(), dtype=F32) -> np.ndarray:
    return np.asarray(d.rng.uniform(0.02, 0.3, shape), dtype=dtype)


def zeros(d: Draw, shape, dtype) -> np.ndarray:
    """Zero points not far from the middle of the type."""
    info = np.iinfo(dtype)
    middle = (info.min + info.max + 1) // 2
    return d.ints(shape, middle - 20, middle + 20, dtype)


def quanta(shape: tuple[int, ...], axis: int, kind: str, block: int) -> tuple[int, ...]:
    """The shape of scales: per tensor, axis or block."""
    if kind == "tensor":
        return ()
    if kind == "axis":
        return (shape[axis],)
    return tuple(-(-n // block) if a == axis % len(shape) else n for a, n in enumerate(shape))


def granularity(d: Draw, i: int) -> tuple[int, str, int]:
    """Opset, kind of scales, size of blocks."""
    opset, kind = ((10, "tensor"), (13, "axis"), (19, "axis"), (21, "block"), (21, "tensor"), (23, "axis"))[i % 6]
    return opset, kind, d.between(2, 3)


def quantize_linear(d: Draw, i: int) -> Config:
    opset, kind, block = granularity(d, i)
    rank = d.between(1, 4)
    shape, axis = d.sometimes_empty(d.shape(rank, 1, 7), i), d.axis(rank)
    to = d.pick(BYTES + ((np.uint16, np.int16) if opset >= 21 else ()))
    of = quanta(shape, axis, kind, block)
    dtype = np.int32 if opset == 10 and i % 4 == 2 else F32
    if dtype == np.int32:
        x = d.ints(shape, -40, 40, np.int32)
    else:
        dtype = F16 if opset >= 19 and d.chance(0.3) else F32
        x = np.asarray(d.rng.uniform(-20, 20, shape), dtype=dtype)
    inputs = [x, scales(d, of, F16 if dtype == F16 else F32)]
    attributes = {"axis": axis if kind != "tensor" else None, "block_size": block if kind == "block" else None}
    if d.chance(0.8):
        inputs.append(zeros(d, of, to))
        constants = d.some([1, 2])
    else:
        constants = d.some([1])
        if opset >= 21:
            attributes["output_dtype"] = int(helper.np_dtype_to_tensor_dtype(np.dtype(to)))
    return Config(inputs, opset, attributes, constants=constants)


def dequantize_linear(d: Draw, i: int) -> Config:
    opset, kind, block = granularity(d, i)
    rank = d.between(1, 4)
    shape, axis = d.sometimes_empty(d.shape(rank, 1, 7), i), d.axis(rank)
    dtype = d.pick(BYTES + (np.int32,) + ((np.uint16, np.int16) if opset >= 21 else ()))
    of = quanta(shape, axis, kind, block)
    x = d.ints(shape, -1000, 1000, dtype) if dtype == np.int32 else d.full_range(shape, dtype)
    to = F16 if opset >= 19 and i % 5 == 4 else F32
    inputs = [x, scales(d, of, to)]
    if dtype == np.int32 and d.chance(0.3):
        inputs.append(np.zeros(of, dtype=dtype))
    elif dtype != np.int32 and d.chance(0.8):
        inputs.append(zeros(d, of, dtype))
    attributes = {"axis": axis if kind != "tensor" else None, "block_size": block if kind == "block" else None}
    if opset >= 23:
        attributes["output_dtype"] = d.maybe(int(helper.np_dtype_to_tensor_dtype(np.dtype(d.pick([F32, F16])))))
    return Config(inputs, opset, attributes, constants=d.some([1, 2]))


def dynamic_quantize_linear(d: Draw, i: int) -> Config:
    x = np.asarray(d.rng.uniform(*d.pick([(-3, 5), (1, 4), (-4, -1)]), d.shape(d.between(0, 4), 1, 8)), dtype=F32)
    if i % 10 == 9:
        x = np.zeros_like(x)
    return Config([x], 11, outputs=(True, True, True))


def window(d: Draw, rank: int) -> tuple[tuple[int, ...], tuple[int, ...], dict]:
    """Extents of an image and of a filter, and the attributes of a convolution."""
    kernel = d.shape(rank, 1, 3)
    attributes = {
        "kernel_shape": d.maybe(kernel, 0.6),
        "strides": d.maybe(d.shape(rank, 1, 2)),
    }
    if d.chance(0.3):
        attributes["auto_pad"] = d.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
    else:
        attributes["pads"] = d.maybe([d.between(0, 2) for _ in range(2 * rank)])
        attributes["dilations"] = d.maybe(d.shape(rank, 1, 2), 0.3)
    return d.shape(rank, 5, 8), kernel, attributes


def convolution(d: Draw, i: int):
    """Activations, weights, filters, element types of both, attributes."""
    rank = (2, 2, 1, 3)[i % 4]
    image, kernel, attributes = window(d, rank)
    group, inner, outer = d.pick([1, 1, 2, 3]), d.between(1, 3), d.between(1, 3)
    attributes["group"] = group if group > 1 else None
    a, w = d.pick([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
    x = d.full_range((d.between(1, 2), group * inner, *image), a)
    return x, d.full_range((group * outer, inner, *kernel), w), group * outer, (a, w), attributes


def qlinear_conv(d: Draw, i: int) -> Config:
    x, w, filters, (a, b), attributes = convolution(d, i)
    of = (filters,) if d.chance(0.5) else ()
    weight_zero = np.zeros(of, dtype=b) if of else zeros(d, of, b)
    inputs = [x, scales(d), zeros(d, (), a), w, scales(d, of), weight_zero, scales(d) * F32(80), zeros(d, (), a)]
    if d.chance(0.5):
        inputs.append(d.ints((filters,), -2000, 2000, np.int32))
    return Config([np.asarray(v) for v in inputs], 10, attributes, constants=d.pick([[], list(range(1, 9))]))


def conv_integer(d: Draw, i: int) -> Config:
    x, w, filters, (a, b), attributes = convolution(d, i)
    x_zero = d.maybe(zeros(d, (), a), 0.7)
    w_zero = d.maybe(zeros(d, (), b), 0.5)
    return Config(without_tail([x, w, x_zero, w_zero]), 10, attributes, constants=d.some([1, 2, 3]))


def factors(d: Draw, i: int):
    """Two operands of a product and their types."""
    inner, (rows, columns) = d.between(1, 9), d.sometimes_empty(d.shape(2, 1, 9), i)
    batch = d.shape(d.between(0, 2), 1, 3)
    left = d.pick([(), batch, batch])
    a, b = d.pick([(np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)])
    return d.full_range((*left, rows, inner), a), d.full_range((*batch, inner, columns), b), a, b


def qlinear_matmul(d: Draw, i: int) -> Config:
    x, w, a, b = factors(d, i)
    of = (w.shape[-1],) if w.ndim == 2 and d.chance(0.4) else ()
    w_zero = np.zeros(of, dtype=b) if of else zeros(d, of, b)
    inputs = [x, scales(d), zeros(d, (), a), w, scales(d, of), w_zero, scales(d) * F32(60), zeros(d, (), a)]
    return Config([np.asarray(v) for v in inputs], (10, 21)[i % 3 == 2], constants=d.pick([[], list(range(1, 8))]))


def matmul_integer(d: Draw, i: int) -> Config:
    x, w, a, b = factors(d, i)
    of = (w.shape[-1],) if w.ndim == 2 and d.chance(0.4) else ()
    x_zero, w_zero = d.maybe(zeros(d, (), a), 0.7), d.maybe(zeros(d, of, b), 0.5)
    return Config(without_tail([x, w, x_zero, w_zero]), 10, constants=d.some([1, 2, 3]))


OPERATORS = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
    "ConvInteger": conv_integer,
    "MatMulInteger": matmul_integer,
}
