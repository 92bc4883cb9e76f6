"""Attention and rotary embeddings."""

import numpy as np

from draw import F16, F32, ONNX_RUNTIME, REFERENCE, Config, Draw, without_tail


def flat(x: np.ndarray) -> np.ndarray:
    """[batch, heads, steps, size] as [batch, steps, heads * size]."""
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1))


def mask_of(d: Draw, batch: int, heads: int, queries: int, keys: int) -> np.ndarray | None:
    shape = d.pick([(queries, keys), (1, queries, keys), (batch, 1, queries, keys), (batch, heads, queries, keys)])
    kind = d.below(3)
    if kind == 0:
        return None
    if kind == 1:
        return d.floats(shape, 2.0)
    mask = d.rng.random(shape) < 0.7
    mask[..., 0] = True
    return mask


def attention(d: Draw, i: int) -> Config:
    batch, kv_heads, queries, keys = d.between(1, 2), d.between(1, 3), d.between(1, 5), d.between(1, 6)
    heads, past = kv_heads * d.pick([1, 1, 2]), d.pick([0, 0, 4])
    size, value_size = 2 * d.between(1, 5), d.between(1, 7)
    opset = (23, 23, 24)[i % 3]
    q = d.floats((batch, heads, queries, size))
    k = d.floats((batch, kv_heads, keys, size))
    v = d.floats((batch, kv_heads, keys, value_size))
    attributes = {
        "is_causal": d.pick([None, 0, 1]),
        "scale": d.maybe(d.number(0.1, 1.0), 0.4),
        "softcap": d.maybe(1.5, 0.3),
    }
    mask = mask_of(d, batch, heads, queries, keys + past)
    lengths = opset == 24 and not past and d.chance(0.5)
    judge = ONNX_RUNTIME
    if attributes["is_causal"] and (past or lengths):
        # ONNX Runtime aligns the triangle with the last query and key, the standard with the first ones; onnx.reference
        # makes NaNs of masks of bool.
        judge = REFERENCE
        mask = None if mask is not None and mask.dtype == np.bool_ else mask
    inputs = [q, k, v, mask]
    if d.chance(0.4):
        inputs[:3] = map(flat, (q, k, v))
        attributes |= {"q_num_heads": heads, "kv_num_heads": kv_heads}
    if past:
        inputs += [d.floats((batch, kv_heads, past, size)), d.floats((batch, kv_heads, past, value_size))]
    elif lengths:
        inputs += [None, None, d.ints((batch,), 1, keys)]
    products = d.chance(0.4)
    if products:
        attributes["qk_matmul_output_mode"] = d.pick([None, 0, 1, 2, 3])
    outputs = (True, bool(past), bool(past), True) if products else (True, True, True) if past else (True,)
    return Config(without_tail(inputs), opset, attributes, outputs, judge=judge)


def rotary_embedding(d: Draw, i: int) -> Config:
    batch, heads, steps, size = d.between(1, 2), d.between(1, 3), d.between(1, 5), 2 * d.between(1, 5)
    dtype = F16 if i % 7 == 6 else F32
    x = d.floats((batch, heads, steps, size), 2.0, dtype)
    attributes = {"interleaved": d.pick([None, 0, 1])}
    if i % 2:
        x = flat(x)
        attributes["num_heads"] = heads
    part = d.pick([None, 0, 2 * d.between(1, size // 2)])
    attributes["rotary_embedding_dim"] = part
    half = (part or size) // 2
    if i // 2 % 2:
        caches, ids = (7, half), [d.ints((batch, steps), 0, 6)]
    else:
        caches, ids = (batch, steps, half), []
    inputs = [x, d.floats(caches, 1.0, dtype), d.floats(caches, 1.0, dtype), *ids]
    return Config(inputs, 23, attributes, constants=d.some([1, 2]))


OPERATORS = {"Attention": attention, "RotaryEmbedding": rotary_embedding}
