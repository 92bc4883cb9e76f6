"""Operators that move elements by positions."""

import numpy as np

from draw import F16, F32, F64, ONNX_RUNTIME, REFERENCE, Config, Draw, vector

TYPES = (F32, np.int64, F64, np.uint8, np.bool_, np.int32, F16, np.int8, np.int16, np.uint16, np.uint32, np.uint64)


def gather_elements(d: Draw, i: int) -> Config:
    rank = d.between(1, 4)
    shape, axis = d.shape(rank, 1, 6), d.axis(rank)
    of = [d.between(1, extent) for extent in shape]
    of[axis] = d.between(0 if i % 9 == 8 else 1, 7)
    index = d.pick([np.int64, np.int32])
    indices = d.ints(d.sometimes_empty(of, i), -shape[axis], shape[axis] - 1, index)
    attributes = {"axis": d.maybe(axis) if axis == 0 else axis}
    return Config([d.values(shape, d.pick(TYPES)), indices], (11, 13)[i % 2], attributes, constants=d.some([1]))


def positions(d: Draw, outer, shape) -> np.ndarray:
    """Positions in `shape`, counted from the front or the back."""
    columns = [d.ints(outer, -extent, extent - 1) for extent in shape]
    return np.stack(columns, -1) if columns else np.zeros((*outer, 0), dtype=np.int64)


def gather_nd(d: Draw, i: int) -> Config:
    rank = d.between(1, 5)
    shape = d.shape(rank, 1, 5)
    batch = d.below(rank) if i % 3 else 0
    depth = d.between(1, rank - batch)
    outer = shape[:batch] + d.sometimes_empty(d.shape(d.between(0, 2), 1, 4), i)
    indices = positions(d, outer, shape[batch : batch + depth])
    opset = d.pick([12, 13]) if batch else d.pick([11, 12, 13])
    inputs = [d.values(shape, d.pick(TYPES)), indices]
    return Config(inputs, opset, {"batch_dims": batch or None}, constants=d.some([1]))


# Opsets and reductions.
SCATTERS = (
    (11, None),
    (13, None),
    (16, "none"),
    (16, "add"),
    (16, "mul"),
    (18, "max"),
    (18, "min"),
    (18, "add"),
    (18, "mul"),
)


def scatter_types(how: str | None) -> tuple:
    return TYPES if how in (None, "none") else (F32, np.int64, F64, np.int32)


def scatter_elements(d: Draw, i: int) -> Config:
    opset, how = SCATTERS[i % 9]
    rank = d.between(1, 4)
    shape, axis = d.shape(rank, 1, 6), d.axis(rank)
    of = [d.between(1, extent) for extent in shape]
    dtype = d.pick(scatter_types(how))
    if how in (None, "none"):
        # Every element is written once at most.
        along = np.arange(shape[axis]).reshape([-1 if a == axis % rank else 1 for a in range(rank)])
        order = d.rng.permuted(np.broadcast_to(along, shape), axis=axis)
        indices = order[tuple(slice(extent) for extent in of)].astype(np.int64)
        indices = np.where(d.values(of, np.bool_), indices, indices - shape[axis])
    else:
        of[axis] = d.between(0, 8)
        indices = d.ints(of, -shape[axis], shape[axis] - 1)
    indices = indices.astype(d.pick([np.int64, np.int32]))
    inputs = [d.values(shape, dtype), indices, d.values(of, dtype)]
    return Config(inputs, opset, {"axis": axis, "reduction": how}, constants=d.some([1]))


def scatter_nd(d: Draw, i: int) -> Config:
    opset, how = SCATTERS[i % 9]
    rank = d.between(1, 4)
    shape = d.shape(rank, 1, 5)
    depth = d.between(1, rank)
    dtype = d.pick(scatter_types(how))
    places = int(np.prod(shape[:depth]))
    if how in (None, "none"):
        chosen = d.rng.permutation(places)[: d.between(1, places)]
    else:
        chosen = d.ints((d.between(0, 9),), 0, places - 1)
    indices = np.stack(np.unravel_index(chosen, shape[:depth]), -1).astype(np.int64)
    indices = np.where(d.values(indices.shape, np.bool_), indices, indices - np.array(shape[:depth]))
    if len(chosen) % 2 == 0 and d.chance(0.5):
        indices = indices.reshape(2, len(chosen) // 2, depth)
    updates = d.values(indices.shape[:-1] + shape[depth:], dtype)
    return Config([d.values(shape, dtype), indices, updates], opset, {"reduction": how}, constants=d.some([1]))


def reverse_sequence(d: Draw, i: int) -> Config:
    shape = d.shape(d.between(2, 4), 1, 6)
    time, batch = ((0, 1), (1, 0), (None, None))[i % 3]
    axis = 0 if time is None else time
    lengths = d.ints((shape[1 - axis],), 1, shape[axis])
    x = d.values(shape, d.pick(TYPES))
    return Config([x, lengths], 10, {"time_axis": time, "batch_axis": batch})


def col2im(d: Draw, i: int) -> Config:
    rank = (2, 2, 1, 3)[i % 4]
    image, block = d.shape(rank, 3, 7), d.shape(rank, 1, 3)
    strides, dilations = [d.between(1, 2) for _ in range(rank)], [d.between(1, 2) for _ in range(rank)]
    pads = [d.between(0, 2) for _ in range(2 * rank)]
    steps = [
        (image[a] + pads[a] + pads[a + rank] - dilations[a] * (block[a] - 1) - 1) // strides[a] + 1 for a in range(rank)
    ]
    if min(steps) < 1:
        return col2im(d, i)
    shape = (d.between(1, 2), d.between(1, 3) * int(np.prod(block)), int(np.prod(steps)))
    attributes = {"strides": strides, "dilations": dilations, "pads": pads}
    # ONNX Runtime takes wrong elements where other images than flat ones have dilations.
    judge = ONNX_RUNTIME if rank == 2 else REFERENCE
    inputs = [d.floats(shape, 1.0, d.pick([F32, F32, F64, F16])), vector(*image), vector(*block)]
    return Config(inputs, 18, attributes, constants=[1, 2], judge=judge)


def center_crop_pad(d: Draw, i: int) -> Config:
    rank = d.between(1, 4)
    x = d.values(d.sometimes_empty(d.shape(rank, 1, 7), i), d.pick(TYPES))
    axes = None
    if d.chance(0.6):
        axes = [int(a) for a in d.rng.permutation(rank)[: d.between(1, rank)]]
        axes = [a - rank if d.chance(0.3) else a for a in axes]
    target = d.shape(rank if axes is None else len(axes), 1, 9)
    return Config([x, vector(*target)], 18, {"axes": axes}, constants=[1])


EQUATIONS = (
    ("ij->ji", (3, 5)),
    ("ii->i", (4, 4)),
    ("ii", (4, 4)),
    ("i...->...", (4, 3, 2)),
    ("ij->", (17, 33)),
    ("ij", (3, 2)),
    ("ba", (3, 2)),
    ("ij,jk->ik", (5, 7), (7, 9)),
    ("ij,jk", (5, 7), (7, 9)),
    ("bij,bjk->bik", (2, 5, 7), (2, 7, 9)),
    ("bhqd,bhkd->bhqk", (1, 2, 5, 16), (1, 2, 6, 16)),
    ("bqhd,bkhd->bhqk", (2, 5, 2, 8), (2, 6, 2, 8)),
    ("...ij,jk->...ik", (2, 3, 5, 4), (4, 6)),
    ("i,j->ij", (5,), (7,)),
    ("ij,jk,kl->il", (3, 4), (4, 5), (5, 6)),
    ("ij,i,j->", (3, 4), (3,), (4,)),
    ("i,i->", (4,), (4,)),
    ("...,...->...", (2, 1, 3), (4, 1)),
    ("b...d,...d->b...", (2, 3, 4), (3, 4)),
    (" i j , j -> i ", (3, 4), (4,)),
    ("iij,jk->ik", (3, 3, 4), (4, 2)),
    ("abc,cd->abd", (2, 3, 4), (4, 5)),
    ("nctkv,kvw->nctw", (1, 2, 3, 2, 4), (2, 4, 4)),
    ("ij,kl->ijkl", (2, 3), (4, 2)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("bnij,bnjk->bik", (2, 3, 4, 15), (2, 3, 15, 2)),
    ("ijk->kji", (2, 3, 4)),
    ("i,->i", (3,), ()),
    ("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("aab,b->a", (3, 3, 2), (2,)),
    ("ij,jk->ik", (1, 1), (1, 1)),
    ("i...j,j...->i...", (2, 3, 4), (4, 3)),
    ("...ii->...i", (2, 3, 3)),
    ("iA,Aj->ij", (2, 3), (3, 2)),
    ("bi,bj,bk->bijk", (2, 3), (2, 2), (2, 4)),
    ("ij,jk->ik", (3, 0), (0, 2)),
    ("ij->j", (0, 4)),
    ("ij,jk->ik", (0, 3), (3, 2)),
)


def einsum(d: Draw, i: int) -> Config:
    equation, *shapes = EQUATIONS[i % len(EQUATIONS)]
    dtype = (F32, F32, F64, np.int64, F32, np.int32)[i % 6]
    return Config([d.values(shape, dtype) for shape in shapes], 12, {"equation": equation}, constants=d.some([1]))


OPERATORS = {
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "ReverseSequence": reverse_sequence,
    "Col2Im": col2im,
    "CenterCropPad": center_crop_pad,
    "Einsum": einsum,
}
