"""Reductions, positions of extremes, running sums, the largest elements."""

import numpy as np

from draw import F16, F32, F64, Config, Draw, vector

REDUCED = {
    "ReduceL1": (F32, F32, np.int32, F64, np.int64),
    "ReduceL2": (F32, F32, np.int32, F64),
    "ReduceProd": (F32, F32, np.int32, F64, np.int64),
    "ReduceSumSquare": (F32, F32, np.int32, F64, np.int64),
    "ReduceLogSum": (F32, F32, F64),
    "ReduceLogSumExp": (F32, F32, F64),
}


def reduce(op: str):
    def draw_config(d: Draw, i: int) -> Config:
        rank = 0 if i % 16 == 15 else d.between(1, 5)
        opset = (1, 11, 13, 18, 18)[i % 5]
        dtype = d.pick(REDUCED[op])
        shape = list(d.shape(rank, 1, 6))
        if rank and i % 8 == 4:
            shape[d.below(rank)] = 0
        data = d.positive(shape, 2.0, dtype) if op == "ReduceLogSum" else d.values(shape, dtype)
        if op == "ReduceLogSumExp" and d.chance(0.3):
            data = data * dtype(60)
        if op == "ReduceProd" and dtype in (np.int32, np.int64):
            # No product leaves the type.
            data = np.where(np.arange(data.size).reshape(data.shape) % 7, np.sign(data), np.clip(data, -3, 3))
            data = data[:2, :2] if rank > 3 else data
            data = np.asarray(data, dtype=dtype)
        axes = sorted(set(d.below(rank) for _ in range(d.between(1, rank)))) if rank else []
        if opset > 1 and d.chance(0.4):
            axes = [axis - rank for axis in axes]
        attributes = {"keepdims": d.pick([None, 0, 1])}
        if opset < 18:
            return Config([data], opset, attributes | {"axes": axes if axes and d.chance(0.8) else None})
        attributes["noop_with_empty_axes"] = d.pick([None, 0, 1])
        inputs = [data] if d.chance(0.2) else [data, vector(*(axes if d.chance(0.8) else []))]
        return Config(inputs, opset, attributes, constants=[1])

    return draw_config


def arg_extreme(d: Draw, i: int) -> Config:
    rank = d.between(1, 5)
    opset = (1, 11, 12, 13)[i % 4]
    dtype = d.pick((F32, F32, F64, np.int32) if opset < 13 else (F32, F64, F16, np.int32, np.int64, np.int8, np.uint8))
    axis = d.between(0, rank - 1) if opset == 1 else d.axis(rank)
    data = d.ints(d.shape(rank, 1, 9), 0, 5).astype(dtype)
    last = d.pick([None, 0, 1]) if opset >= 12 else None
    attributes = {"axis": d.maybe(axis, 0.8), "keepdims": d.pick([None, 0, 1]), "select_last_index": last}
    return Config([data], opset, attributes)


def cum_sum(d: Draw, i: int) -> Config:
    rank = d.between(1, 4)
    dtype = (F32, F64, np.int32, np.int64)[i % 4]
    shape = list(d.shape(rank, 1, 7))
    if i % 10 == 9:
        shape[d.below(rank)] = 0
    axis = np.array(d.axis(rank), dtype=d.pick([np.int32, np.int64]))
    if i % 7 == 3:
        axis = axis.reshape(1)
    attributes = {"exclusive": d.pick([None, 0, 1]), "reverse": d.pick([None, 0, 1])}
    return Config([d.values(shape, dtype), axis], d.pick([11, 14]), attributes, constants=[1])


def top_k(d: Draw, i: int) -> Config:
    rank = d.between(1, 4)
    opset = (1, 10, 11, 11, 11)[i % 5]
    shape = d.shape(rank, 1, 40 if rank == 1 else 9)
    axis = d.between(0, rank - 1) if opset < 11 else d.axis(rank)
    dtype = F32 if opset < 11 else d.pick((F32, F32, F64, F16, np.int64, np.int32, np.int8, np.uint8))
    k = d.between(0 if opset > 10 else 1, shape[axis])
    # Few values, so that some are equal: the first of them counts.
    data = d.ints(shape, 0, 6).astype(dtype) if d.chance(0.5) else d.values(shape, dtype)
    if opset == 1:
        return Config([data], 1, {"axis": axis, "k": k}, (True, True))
    attributes = {"axis": axis}
    if opset > 10:
        attributes |= {"largest": d.pick([None, 0, 1]), "sorted": d.pick([None, 1])}
    return Config([data, vector(k)], opset, attributes, (True, True), [1])


OPERATORS = {op: reduce(op) for op in REDUCED} | {
    "ArgMax": arg_extreme,
    "ArgMin": arg_extreme,
    "CumSum": cum_sum,
    "TopK": top_k,
}
