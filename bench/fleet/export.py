"""Exports one network of the table and writes what it is checked with."""

import argparse
import copy
import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch

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
        return
    built = sources.build(network)
    exact = in_double(built)
    if built.convert:
        convert_elsewhere(built, path)
    else:
        opset = int(network.options.get("opset", DYNAMO_OPSET if args.dynamo else OPSET))
        convert(built, path, opset, args)
    names = [name for name, _ in graph_inputs(path)]
    np.savez(path.with_suffix(".inputs.npz"), **{n: x.numpy() for n, x in zip(names, built.inputs)})
    if exact is not None:
        np.savez(path.with_suffix(".float64.npz"), *exact)


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
                                        input_names=built.names, verbose=False)  # fmt: skip
            program.save(str(path), include_initializers=True, external_data=False)
            return
        axes = {name: {0: "batch", 2: "height", 3: "width"} for name in built.names} if args.dynamic else None
        torch.onnx.export(built.module, built.inputs, str(path), dynamo=False, opset_version=opset,
                          input_names=built.names, dynamic_axes=axes)  # fmt: skip


def convert_elsewhere(built, path):
    """With the exporter of the package, which writes where it wants to."""
    folder = os.getcwd()
    os.chdir(path.parent)
    try:
        built.convert(path, OPSET)
    finally:
        os.chdir(folder)


def in_double(built):
    """The outputs in double precision, flat; None where the module does not take doubles."""
    try:
        module = copy.deepcopy(built.module).double()
        if built.convert:
            module = sources.exported_form(module)
        inputs = [x.double() if x.is_floating_point() else x for x in built.inputs]
        with torch.no_grad():
            return [y.numpy() for y in flatten(module(*inputs))]
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
