"""Sampling at positions, regions of interest, deformable convolution."""

import numpy as np

from draw import F32, F64, Config, Draw, vector

OLD_MODES = {"linear": "bilinear", "cubic": "bicubic", "nearest": "nearest"}


def grid_sample(d: Draw, i: int) -> Config:
    opset = (16, 20, 22)[i % 3]
    mode = ("linear", "cubic", "nearest")[i // 3 % 3]
    rank = 3 if opset >= 20 and mode != "cubic" and d.chance(0.4) else 2
    batch, first = d.between(1, 2), 1 if i % 5 == 4 else 2
    image, grid = d.shape(rank, first, 6), d.shape(rank, 1, 5)
    attributes = {
        "mode": OLD_MODES[mode] if opset == 16 else mode,
        "padding_mode": d.pick([None, "zeros", "border", "reflection"]),
        "align_corners": d.pick([None, 0, 1]),
    }
    positions = np.asarray(d.rng.uniform(-2.5, 2.5, (batch, *grid, rank)), dtype=F32)
    dtype = F64 if opset >= 20 and i % 4 == 3 else F32
    return Config([d.floats((batch, d.between(1, 3), *image), 2.0, dtype), positions.astype(dtype)], opset, attributes)


def affine_grid(d: Draw, i: int) -> Config:
    rank = (2, 3)[i % 2]
    size = (d.between(1, 3), d.between(1, 3), *d.shape(rank, 1 if i % 3 == 0 else 2, 6))
    theta = d.floats((size[0], rank, rank + 1), 2.0, (F32, F64)[i % 5 == 4])
    return Config([theta, vector(*size)], 20, {"align_corners": d.pick([None, 0, 1])}, constants=[1])


def regions(d: Draw, count: int) -> np.ndarray:
    corners = np.asarray(d.rng.uniform(-2, 8, (count, 2)), dtype=F32)
    extents = np.asarray(d.rng.uniform(0, 6, (count, 2)), dtype=F32)
    return np.concatenate([corners, corners + extents], 1)


def roi_align(d: Draw, i: int) -> Config:
    opset = (10, 16, 16, 22)[i % 4]
    count = 0 if i % 12 == 11 else d.between(1, 5)
    shape = (d.between(1, 3), d.between(1, 3), d.between(1, 12), d.between(2, 12))
    sampling = d.pick([None, 0, 1, 2, 3])
    attributes = {
        "mode": d.pick([None, "avg", "max"]),
        "output_height": d.pick([None, 1, 3, 7]),
        "output_width": d.pick([None, 1, 2, 5]),
        "sampling_ratio": sampling,
        "spatial_scale": d.pick([None, 1.0, 0.5]),
    }
    if opset >= 16:
        attributes["coordinate_transformation_mode"] = d.pick([None, "half_pixel", "output_half_pixel"])
    dtype = d.pick([F32, F32, F64])
    inputs = [d.floats(shape, 1.0, dtype), regions(d, count).astype(dtype), d.ints((count,), 0, shape[0] - 1)]
    # Adaptive sampling of regions that are computed has a bound in octrt.
    constants = [1] if sampling in (None, 0) else d.some([1, 2])
    return Config(inputs, opset, attributes, constants=constants)


def max_roi_pool(d: Draw, i: int) -> Config:
    count = d.between(1, 5)
    shape = (d.between(1, 3), d.between(1, 3), d.between(2, 12), d.between(2, 12))
    batch = d.ints((count, 1), 0, shape[0] - 1).astype(F32)
    attributes = {"pooled_shape": list(d.shape(2, 1, 5)), "spatial_scale": d.pick([None, 1.0, 0.5])}
    rois = np.concatenate([batch, regions(d, count)], 1)
    return Config([d.floats(shape), rois], d.pick([1, 1, 1, 22]), attributes, constants=d.some([1]))


def deform_conv(d: Draw, i: int) -> Config:
    group, each, offset_group = d.between(1, 2), d.between(1, 2), d.pick([1, 2])
    kernel, strides, dilations = d.shape(2, 1, 3), d.shape(2, 1, 2), d.shape(2, 1, 2)
    pads = [d.between(0, 2) for _ in range(4)]
    channels, batch, image = 2 * group, d.between(1, 2), d.shape(2, 6, 8)
    out = [(image[a] + pads[a] + pads[a + 2] - (kernel[a] - 1) * dilations[a] - 1) // strides[a] + 1 for a in (0, 1)]
    taps = offset_group * kernel[0] * kernel[1]
    offsets = np.asarray(d.rng.uniform(-2, 2, (batch, 2 * taps, *out)), dtype=F32)
    filters = group * each
    inputs = [d.floats((batch, channels, *image)), d.floats((filters, channels // group, *kernel)), offsets]
    bias, mask = d.maybe(d.floats((filters,))), d.maybe(d.floats((batch, taps, *out)))
    inputs += [bias, mask] if mask is not None else [bias] if bias is not None else []
    attributes = {
        "strides": strides,
        "dilations": dilations,
        "pads": pads,
        "group": group,
        "offset_group": offset_group,
        "kernel_shape": d.maybe(kernel, 0.7),
    }
    return Config(inputs, d.pick([19, 22]), attributes, constants=d.some([1, 3]))


OPERATORS = {
    "GridSample": grid_sample,
    "AffineGrid": affine_grid,
    "RoiAlign": roi_align,
    "MaxRoiPool": max_roi_pool,
    "DeformConv": deform_conv,
}
