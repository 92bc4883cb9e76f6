"""What an ONNX file of a wheel computes in double precision, by PyTorch: for the operators of published recognisers."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F


class Unknown(Exception):
    """An operator, or a form of it, that is not here."""


def outputs(path, inputs):
    """The outputs of the file for these arrays by name, floats in double precision; None where an operator is not here."""
    model = onnx.load(path)
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    values = {t.name: tensor(t) for t in model.graph.initializer}
    values |= {name: widened(torch.from_numpy(x)) for name, x in inputs.items()}
    with torch.no_grad():
        for node in model.graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            operator = OPERATORS.get(node.op_type)
            if operator is None or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
                return None
            try:
                values[node.output[0]] = operator([values.get(name) for name in node.input], attributes, opset)
            except Unknown:
                return None
    return [values[v.name].numpy() for v in model.graph.output]


def tensor(proto):
    return widened(torch.from_numpy(np.array(numpy_helper.to_array(proto))))


def widened(x):
    return x.double() if x.is_floating_point() else x


def require(condition):
    if not condition:
        raise Unknown


def numbers(x):
    return [int(n) for n in x.flatten()]


def pads(x, attributes, value=0.0):
    """`x` with the border that `pads` asks for."""
    require(attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"SAME_UPPER") and not attributes.get("ceil_mode"))
    rank = x.ndim - 2
    sides = attributes.get("pads", [0] * 2 * rank)
    if attributes.get("auto_pad") == b"SAME_UPPER":
        sides = same_upper(x.shape[2:], attributes)
    flat = [side for axis in reversed(range(rank)) for side in (sides[axis], sides[rank + axis])]
    return F.pad(x, flat, value=value)


def same_upper(extents, attributes):
    """The pads by which there are as many results as strides fit."""
    kernel, rank = attributes["kernel_shape"], len(extents)
    strides, dilations = (attributes.get(name, [1] * rank) for name in ("strides", "dilations"))
    reach = zip(extents, kernel, strides, dilations)
    total = [max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n) for n, k, s, d in reach]
    return [t // 2 for t in total] + [t - t // 2 for t in total]


def conv(x, attributes, _):
    rank = x[0].ndim - 2
    call = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    bias = x[2] if len(x) > 2 else None
    settings = {"stride": attributes.get("strides", 1), "dilation": attributes.get("dilations", 1)}
    return call(pads(x[0], attributes), x[1], bias, groups=attributes.get("group", 1), **settings)


def conv_transpose(x, attributes, _):
    plain = not any(attributes.get("pads", [])) and not attributes.get("output_shape") and x[0].ndim == 4
    require(plain and attributes.get("auto_pad", b"NOTSET") == b"NOTSET")
    settings = {"stride": attributes.get("strides", 1), "dilation": attributes.get("dilations", 1)}
    more = attributes.get("output_padding", 0)
    return F.conv_transpose2d(x[0], x[1], x[2] if len(x) > 2 else None, output_padding=more,
                              groups=attributes.get("group", 1), **settings)  # fmt: skip


def batch_norm(x, attributes, _):
    require(not attributes.get("training_mode"))
    return F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=attributes.get("epsilon", 1e-5))


def max_pool(x, attributes, _):
    require(x[0].ndim == 4)
    padded = pads(x[0], attributes, -np.inf)
    return F.max_pool2d(padded, attributes["kernel_shape"], attributes.get("strides", 1))


def average_pool(x, attributes, _):
    require(x[0].ndim == 4 and (attributes.get("count_include_pad") or not any(attributes.get("pads", []))))
    return F.avg_pool2d(pads(x[0], attributes), attributes["kernel_shape"], attributes.get("strides", 1))


def clip(x, attributes, _):
    low, high = (x[i] if len(x) > i else None for i in (1, 2))
    low = attributes.get("min") if low is None else low
    high = attributes.get("max") if high is None else high
    return torch.clamp(x[0], None if low is None else float(low), None if high is None else float(high))


def softmax(x, attributes, opset):
    if opset >= 13:
        return torch.softmax(x[0], attributes.get("axis", -1))
    axis = attributes.get("axis", 1)
    return torch.softmax(x[0].flatten(axis), -1).reshape(x[0].shape)


def reduce_mean(x, attributes, _):
    axes = numbers(x[1]) if len(x) > 1 else attributes["axes"]
    return x[0].mean(list(axes), keepdim=bool(attributes.get("keepdims", 1)))


def cut(x, attributes, _):
    if "starts" in attributes:
        starts, ends = attributes["starts"], attributes["ends"]
        axes, steps = attributes.get("axes", range(len(starts))), [1] * len(starts)
    else:
        starts, ends = numbers(x[1]), numbers(x[2])
        axes = numbers(x[3]) if len(x) > 3 and x[3] is not None else range(len(starts))
        steps = numbers(x[4]) if len(x) > 4 else [1] * len(starts)
    require(all(step > 0 for step in steps))
    ranges = [slice(None)] * x[0].ndim
    for axis, *bounds in zip(axes, starts, ends, steps):
        ranges[axis] = slice(*bounds)
    return x[0][tuple(ranges)]


def reshape(x, attributes, _):
    require(not attributes.get("allowzero"))
    wanted = numbers(x[1])
    return x[0].reshape([x[0].shape[i] if n == 0 else n for i, n in enumerate(wanted)])


def axes_of(x, attributes):
    return numbers(x[1]) if len(x) > 1 else list(attributes["axes"])


def squeeze(x, attributes, _):
    return x[0].squeeze(tuple(axes_of(x, attributes)))


def unsqueeze(x, attributes, _):
    y = x[0]
    for axis in sorted(axes_of(x, attributes)):
        require(axis >= 0)
        y = y.unsqueeze(axis)
    return y


def cast(x, attributes, _):
    kinds = {onnx.TensorProto.FLOAT: torch.float64, onnx.TensorProto.INT64: torch.int64, onnx.TensorProto.INT32: torch.int32}
    require(attributes["to"] in kinds)
    return x[0].to(kinds[attributes["to"]])


def resize(x, attributes, _):
    """Whole multiples, nearest and rounding down, as networks that double a picture say it."""
    require(attributes.get("mode", b"nearest") == b"nearest" and attributes.get("nearest_mode", b"") == b"floor")
    require(len(x) == 3 and attributes.get("coordinate_transformation_mode") == b"asymmetric")
    scales = [float(s) for s in x[2]]
    require(all(s == int(s) for s in scales) and scales[:2] == [1, 1] and x[0].ndim == 4)
    return x[0].repeat_interleave(int(scales[2]), 2).repeat_interleave(int(scales[3]), 3)


def constant(_, attributes, __):
    require("value" in attributes)
    return tensor(attributes["value"])


OPERATORS = {
    "Add": lambda x, a, o: x[0] + x[1],
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Cast": cast,
    "Clip": clip,
    "Concat": lambda x, a, o: torch.cat(x, a["axis"]),
    "Constant": constant,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": lambda x, a, o: torch.div(x[0], x[1], rounding_mode=None if x[0].is_floating_point() else "trunc"),
    "Erf": lambda x, a, o: torch.erf(x[0]),
    "GlobalAveragePool": lambda x, a, o: x[0].mean(tuple(range(2, x[0].ndim)), keepdim=True),
    "HardSigmoid": lambda x, a, o: torch.clamp(a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5), 0, 1),
    "HardSwish": lambda x, a, o: x[0] * torch.clamp(x[0] / 6 + 0.5, 0, 1),
    "Identity": lambda x, a, o: x[0],
    "MatMul": lambda x, a, o: x[0] @ x[1],
    "MaxPool": max_pool,
    "Mul": lambda x, a, o: x[0] * x[1],
    "Pow": lambda x, a, o: x[0] ** x[1],
    "ReduceMean": reduce_mean,
    "Relu": lambda x, a, o: torch.relu(x[0]),
    "Reshape": reshape,
    "Resize": resize,
    "Shape": lambda x, a, o: torch.tensor(x[0].shape),
    "Sigmoid": lambda x, a, o: torch.sigmoid(x[0]),
    "Slice": cut,
    "Softmax": softmax,
    "Sqrt": lambda x, a, o: torch.sqrt(x[0]),
    "Squeeze": squeeze,
    "Sub": lambda x, a, o: x[0] - x[1],
    "Transpose": lambda x, a, o: x[0].permute(a["perm"]),
    "Unsqueeze": unsqueeze,
}
