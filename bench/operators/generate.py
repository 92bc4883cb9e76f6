"""Writes generated configurations of operators, with what ONNX Runtime computes, like the ONNX backend tests."""

import argparse
import shutil
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import attention
import contrib
import elementwise
import movement
import normalisation
import pooling
import quantised
import recurrent
import reductions
import vision
from draw import REFERENCE, Config, Draw

FAMILIES = (normalisation, reductions, elementwise, movement, pooling, vision, attention, recurrent, quantised, contrib)


def input_of(name: str, value: np.ndarray, number: int) -> onnx.ValueInfoProto:
    """What is declared of an input: every fourth configuration leaves its extents to the run."""
    shape = [f"{name}_{axis}" for axis in range(value.ndim)] if number % 4 == 1 else value.shape
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), shape)


def model_of(op: str, config: Config, number: int) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The model of one node, its outputs without types, and what it is fed."""
    names = ["" if value is None else f"x{i}" for i, value in enumerate(config.inputs)]
    outputs = [f"y{i}" if used else "" for i, used in enumerate(config.outputs)]
    attributes = {name: value for name, value in config.attributes.items() if value is not None}
    node = helper.make_node(op, names, outputs, domain=config.domain, **attributes)
    given = {name: np.asarray(value) for name, value in zip(names, config.inputs) if value is not None}
    constants = {names[i] for i in config.constants if i < len(names) and names[i]}
    feeds = {name: value for name, value in given.items() if name not in constants}
    inputs = [input_of(name, value, number) for name, value in feeds.items()]
    initializers = [numpy_helper.from_array(given[name], name) for name in sorted(constants)]
    results = [helper.make_empty_tensor_value_info(name) for name in outputs if name]
    graph = helper.make_graph([node], "generated", inputs, results, initializers)
    opsets = [helper.make_opsetid("", config.opset)]
    if config.domain:
        opsets.append(helper.make_opsetid(config.domain, 1))
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = 8 if config.opset < 19 else helper.find_min_ir_version_for(opsets[:1])
    return model, feeds


def outputs_of(judge: str, model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    if judge == REFERENCE:
        return [np.asarray(y) for y in ReferenceEvaluator(model).run(None, feeds)]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def write(folder: Path, model: onnx.ModelProto, feeds: dict[str, np.ndarray], outputs: list[np.ndarray]) -> None:
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    for info, value in zip(model.graph.output, outputs):
        dtype = helper.np_dtype_to_tensor_dtype(value.dtype)
        info.CopyFrom(helper.make_tensor_value_info(info.name, dtype, None))
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    results = [(info.name, value) for info, value in zip(model.graph.output, outputs)]
    for prefix, tensors in (("input", feeds.items()), ("output", results)):
        for i, (name, value) in enumerate(tensors):
            tensor = numpy_helper.from_array(np.asarray(value), name)
            (data / f"{prefix}_{i}.pb").write_bytes(tensor.SerializeToString())


def generate(op: str, draw_config, count: int, out: Path, refusals: Counter) -> tuple[int, int]:
    """Writes `count` configurations; how many were written, and how many of those drawn were skipped."""
    written = skipped = 0
    while written < count and skipped <= 3 * count:
        number = written + skipped
        config = draw_config(Draw(zlib.crc32(f"{op} {number}".encode()), number), number)
        model, feeds = model_of(op, config, number)
        try:
            outputs = outputs_of(config.judge, model, feeds)
        except Exception as refusal:  # whatever a runtime raises when it has no kernel or refuses the arguments
            refusals[f"{op}, opset {config.opset}: {str(refusal).splitlines()[0][:200]}"] += 1
            skipped += 1
            continue
        if config.stored:
            config, outputs = config.stored(config, outputs)
            model, feeds = model_of(op, config, number)
        prefix = "com_microsoft_" if config.domain else ""
        write(out / f"test_{prefix}{op.lower()}_{number:02}", model, feeds, outputs)
        written += 1
    return written, skipped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the cases; what it holds is replaced")
    parser.add_argument("--count", type=int, default=30, help="configurations of each operator")
    parser.add_argument("--only", help="operators, separated by commas")
    parser.add_argument("--why", action="store_true", help="print why configurations were skipped")
    arguments = parser.parse_args()
    onnxruntime.set_default_logger_severity(4)
    only = arguments.only.split(",") if arguments.only else None
    shutil.rmtree(arguments.out, ignore_errors=True)
    refusals: Counter = Counter()
    total, too_few = 0, []
    print("| operator | configurations | skipped |\n|---|---|---|")
    for family in FAMILIES:
        for op, draw_config in family.OPERATORS.items():
            if only and op not in only:
                continue
            written, skipped = generate(op, draw_config, arguments.count, arguments.out, refusals)
            print(f"| {op} | {written} | {skipped} |")
            total += written
            if written < arguments.count:
                too_few.append(op)
    print(f"\n{total} configurations in {arguments.out}")
    if arguments.why:
        for refusal, times in sorted(refusals.items()):
            print(f"{times} x {refusal}")
    if too_few:
        print(f"fewer than {arguments.count}: {', '.join(too_few)}", file=sys.stderr)
    return 1 if too_few else 0


if __name__ == "__main__":
    sys.exit(main())
