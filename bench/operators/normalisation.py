"""Normalisations."""

import numpy as np

from draw import F16, F32, F64, Config, Draw

DTYPES = (F32, F32, F32, F64, F16)


def layer_normalization(d: Draw, i: int) -> Config:
    # Few elements where the mean is large: what is close to it has few digits left on both sides.
    mean = d.pick([0, 0, 20])
    rank = d.between(1, 3 if mean else 5)
    shape, axis = d.shape(rank, 1, 4 if mean else 6), d.axis(rank)
    dtype = DTYPES[i % len(DTYPES)]
    shape = d.sometimes_empty(shape[: axis % rank], i) + shape[axis % rank :]
    x = d.floats(shape, 3.0, dtype) + dtype(mean)
    inner = shape[axis:]
    inputs = [x, d.floats(inner, 2.0, dtype)]
    if d.chance(0.6):
        inputs.append(d.floats(inner, 1.0, dtype))
    outputs = d.pick([(True,), (True, True), (True, True, True), (True, False, True)])
    if dtype == F16:
        outputs = (True,)
    attributes = {
        "axis": d.maybe(axis, 0.8) if axis in (-1, rank - 1) else axis,
        "epsilon": d.maybe(d.pick([1e-5, 1e-3, 0.1])),
    }
    return Config(inputs, 17, attributes, outputs, d.some([1, 2]))


def instance_normalization(d: Draw, i: int) -> Config:
    mean = d.pick([0, 0, 20])
    shape = d.shape(2, 1, 3) + d.shape(d.between(1, 3), 1, 3 if mean else 6)
    dtype = (F32, F32, F16)[i % 3]
    x = d.floats(shape, 3.0, dtype) + dtype(mean)
    inputs = [x, d.floats(shape[1:2], 2.0, dtype), d.floats(shape[1:2], 1.0, dtype)]
    return Config(inputs, d.pick([6, 22]), {"epsilon": d.maybe(d.pick([1e-5, 1e-2]))}, constants=d.some([1, 2]))


def group_normalization(d: Draw, i: int) -> Config:
    groups, each = d.between(1, 4), d.between(1, 3)
    shape = (d.between(1, 3), groups * each) + d.shape(d.between(1, 3), 1, 6)
    opset = (18, 21)[i % 2]
    dtype = (F32, F32, F32, F64, F16)[i % 5] if opset == 21 else F32
    count = (groups if opset == 18 else groups * each,)
    inputs = [d.floats(shape, 3.0, dtype), d.floats(count, 2.0, dtype), d.floats(count, 1.0, dtype)]
    attributes = {"num_groups": groups, "epsilon": d.maybe(1e-3)}
    return Config(inputs, opset, attributes, constants=d.some([1, 2]))


def rms_normalization(d: Draw, i: int) -> Config:
    rank = d.between(1, 5)
    shape, axis = d.shape(rank, 1, 9), d.axis(rank)
    shape = d.sometimes_empty(shape[: axis % rank], i) + shape[axis % rank :]
    dtype = DTYPES[i % len(DTYPES)]
    inputs = [d.floats(shape, 3.0, dtype), d.floats(shape[axis:], 2.0, dtype)]
    return Config(inputs, 23, {"axis": axis, "epsilon": d.maybe(1e-2)}, constants=d.some([1]))


def lrn(d: Draw, i: int) -> Config:
    shape = d.shape(4, 1, 9)
    attributes = {
        "size": d.pick([1, 3, 5, 7]),
        "alpha": d.maybe(d.number(0.01, 2.0)),
        "beta": d.maybe(d.number(0.2, 1.5)),
        "bias": d.maybe(d.number(0.5, 2.0)),
    }
    return Config([d.floats(shape, 4.0)], (1, 13)[i % 2], attributes)


def lp_normalization(d: Draw, i: int) -> Config:
    rank = d.between(1, 4)
    x = d.floats(d.sometimes_empty(d.shape(rank, 1, 7), i), 3.0, (F32, F64)[i % 2])
    if i % 7 == 6:
        x = np.zeros_like(x)
    return Config([x], (1, 22)[i % 3 == 2], {"axis": d.maybe(d.axis(rank), 0.8), "p": d.maybe(d.pick([1, 2]), 0.8)})


def mean_variance_normalization(d: Draw, i: int) -> Config:
    rank = 4 if i % 3 == 0 else d.between(1, 5)
    axes = sorted(set(d.below(rank) for _ in range(d.between(1, rank))))
    if d.chance(0.3):
        axes = [axis - rank for axis in axes]
    mean = d.pick([0, 20])
    x = d.floats(d.shape(rank, 2, 3 if mean else 5), 3.0) + F32(mean)
    return Config([x], d.pick([9, 13]), {"axes": None if i % 3 == 0 else axes})


def hardmax(d: Draw, i: int) -> Config:
    rank = d.between(1, 4)
    opset = (1, 11, 13)[i % 3]
    axis = d.between(0, rank - 1) if opset == 1 else d.axis(rank)
    x = d.ints(d.shape(rank, 1, 7), -3, 3).astype((F32, F64)[i % 5 == 4])
    return Config([x], opset, {"axis": axis if rank == 1 else d.maybe(axis, 0.8)})


OPERATORS = {
    "LayerNormalization": layer_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "RMSNormalization": rms_normalization,
    "LRN": lrn,
    "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": mean_variance_normalization,
    "Hardmax": hardmax,
}
