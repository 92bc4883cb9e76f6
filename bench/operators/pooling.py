"""Pools with positions or norms."""

import numpy as np

from draw import F32, F64, REFERENCE, Config, Draw, vector


def window(d: Draw, rank: int, dilated: int) -> tuple[tuple[int, ...], dict]:
    """Extents of the image and the attributes of a window that is in it."""
    kernel, strides = list(d.shape(rank, 1, 3)), list(d.shape(rank, 1, 3))
    attributes = {"kernel_shape": kernel, "strides": d.maybe(strides, 0.8)}
    how = d.below(4)
    if how == 0:
        attributes["auto_pad"] = d.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
    elif how > 1:
        attributes["pads"] = [d.between(0, k - 1) for k in kernel + kernel]
    if dilated and how > 0:
        attributes["dilations"] = d.maybe(list(d.shape(rank, 1, 2)))
    return d.shape(rank, 5, 8), attributes


def max_pool(d: Draw, i: int) -> Config:
    rank = (2, 2, 1, 3)[i % 4]
    opset = (8, 10, 11, 12, 12, 22)[i % 6]
    spatial, attributes = window(d, rank, int(opset >= 10))
    if opset >= 10 and "auto_pad" not in attributes:
        attributes["ceil_mode"] = d.pick([None, 0, 1])
    attributes["storage_order"] = d.pick([None, 0, 1])
    shape = (d.between(1, 2), d.between(1, 3), *spatial)
    dtype = d.pick([F32, F64] + ([np.int8, np.uint8] if opset >= 12 else []))
    # Few values, so that some are equal.
    x = d.ints(shape, 0, 9).astype(dtype) if d.chance(0.4) else d.values(shape, dtype)
    return Config([x], opset, attributes, (True, True))


def max_unpool(d: Draw, i: int) -> Config:
    rank = (2, 2, 1, 3)[i % 4]
    kernel, strides = list(d.shape(rank, 2, 3)), list(d.shape(rank, 2, 3))
    pads = [d.between(0, k - 1) for k in kernel + kernel] if d.chance(0.4) else None
    outer, pooled = d.shape(2, 1, 3), d.shape(rank, 2, 4)
    around = pads or [0] * (2 * rank)
    spatial = tuple((pooled[a] - 1) * strides[a] + kernel[a] - around[a] - around[a + rank] for a in range(rank))
    x = d.floats(outer + pooled)
    # Positions are those of the image that the attributes give, in each channel of each picture.
    images, plane = int(np.prod(outer)), int(np.prod(spatial))
    if plane < np.prod(pooled):
        return max_unpool(d, i)
    places = np.stack([d.rng.permutation(plane)[: int(np.prod(pooled))] + plane * n for n in range(images)])
    inputs = [x, places.reshape(x.shape).astype(np.int64)]
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads}
    if not d.chance(0.4):
        return Config(inputs, d.pick([9, 11, 22]), attributes)
    # ONNX Runtime takes the positions as those of the larger image.
    inputs.append(vector(*outer, *(n + d.between(0, 2) for n in spatial)))
    return Config(inputs, d.pick([9, 11, 22]), attributes, constants=[2], judge=REFERENCE)


def lp_pool(d: Draw, i: int) -> Config:
    rank = (2, 2, 1, 3)[i % 4]
    opset = (2, 11, 18, 22)[i // 2 % 4]
    spatial, attributes = window(d, rank, int(opset >= 18))
    if opset >= 18 and "auto_pad" not in attributes:
        attributes["ceil_mode"] = d.pick([None, 0, 1])
    attributes["p"] = d.pick([None, 1, 2, 3])
    return Config([d.floats((d.between(1, 2), d.between(1, 3), *spatial), 2.0)], opset, attributes)


def global_lp_pool(d: Draw, i: int) -> Config:
    shape = d.shape(2, 1, 3) + d.shape(d.between(1, 3), 1, 7)
    return Config([d.floats(shape, 2.0)], d.pick([2, 2, 2, 22]), {"p": d.pick([None, 1, 2, 3])})


OPERATORS = {"MaxPool": max_pool, "MaxUnpool": max_unpool, "LpPool": lp_pool, "GlobalLpPool": global_lp_pool}
