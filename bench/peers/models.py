"""What there is to know of an ONNX file before it runs: its inputs, outputs and amount of work."""

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

SEED = 1


@dataclass(frozen=True)
class Model:
    """A model with the arrays that it is measured on."""

    name: str
    path: Path
    inputs: dict[str, np.ndarray]  # by name, in the graph's order
    input_files: dict[str, Path]  # the same arrays as .npy files
    outputs: list[str]  # names, in the graph's order
    macs: int  # multiply-accumulates of its Conv, ConvTranspose, Gemm and MatMul nodes


def read(path, scratch):
    """The model in a file. Input I of NAME.onnx is NAME.I.npy beside it or, without that file,
    standard normal numbers, which are saved in the folder `scratch`. Raises ValueError when a shape
    is not fixed and no file gives it."""
    path = Path(path)
    proto = onnx.load(path)
    weights = {t.name for t in proto.graph.initializer}
    graph_inputs = [v for v in proto.graph.input if v.name not in weights]
    files = {v.name: input_file(path, v, scratch) for v in graph_inputs}
    inputs = {name: np.load(file) for name, file in files.items()}
    return Model(
        name=path.parent.name if path.stem == "model" else path.stem,
        path=path,
        inputs=inputs,
        input_files=files,
        outputs=[v.name for v in proto.graph.output],
        macs=count_macs(proto, {name: x.shape for name, x in inputs.items()}),
    )


def input_file(path, value, scratch):
    beside = path.with_name(f"{path.stem}.{value.name}.npy")
    if beside.exists():
        return beside
    dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
    if not all(dims) or value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        raise ValueError(f"{path}: input '{value.name}' is not a float tensor of fixed shape; "
                         f"its value must be in {beside.name}")  # fmt: skip
    file = Path(scratch) / f"{path.parent.name}.{beside.name}".replace("/", "_")
    np.save(file, np.random.default_rng(SEED).standard_normal(dims, dtype=np.float32))
    return file


def count_macs(proto, shapes):
    """Multiply-accumulates for inputs of these shapes, padding counted as work."""
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    for value in proto.graph.input:
        for dim, extent in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ())):
            dim.dim_value = extent
    fold_concatenations(proto.graph)
    graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    extents = {t.name: tuple(t.dims) for t in graph.initializer}
    for value in [*graph.input, *graph.output, *graph.value_info]:
        extents[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    return sum(node_macs(node, extents) for node in graph.node)


def fold_concatenations(graph):
    """Makes initializers of the scales that TorchScript's exporter concatenates of constants, through which
    shape inference does not see."""
    known = {t.name: t for t in graph.initializer}
    for node in list(graph.node):
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            known[node.output[0]] = node.attribute[0].t
        elif node.op_type == "Concat" and all(name in known for name in node.input):
            parts = [numpy_helper.to_array(known[name]) for name in node.input]
            joined = np.concatenate(parts, axis=node.attribute[0].i)
            graph.initializer.append(numpy_helper.from_array(joined, node.output[0]))
            graph.node.remove(node)


def node_macs(node, extents):
    if node.op_type == "Conv":  # weight [oc, ic / groups, kernel...]
        return prod(extents[node.output[0]]) * prod(extents[node.input[1]][1:])
    if node.op_type == "ConvTranspose":  # weight [ic, oc / groups, kernel...]
        return prod(extents[node.input[0]]) * prod(extents[node.input[1]][1:])
    if node.op_type == "Gemm":
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return prod(extents[node.output[0]]) * extents[node.input[0]][0 if transposed else 1]
    if node.op_type == "MatMul":
        return prod(extents[node.output[0]]) * extents[node.input[0]][-1]
    return 0
