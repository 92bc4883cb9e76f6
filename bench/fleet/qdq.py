#!/usr/bin/env python3
"""Quantises a ResNet-18 with ONNX Runtime's static quantisation and compares octrt with ONNX Runtime on it.

    python qdq.py --octrt PATH [--variants qdq,qoperator] [--json FILE] [--keep DIR]

The network has random weights and measured batch normalisations. Its last layer is set so that it tells 100
random pictures apart: class I is the direction of picture I's features, so that top-1 means something. It is
quantised on those pictures and measured on noisy copies of them: how many get the same class, and how far outputs
lie apart in quanta: the step of the quantised output, or a 127th of the largest where the output is not quantised.
ONNX Runtime computes each network in two ways, fused and node by node. Right: the same classes as one of them, and
within `--quanta` of it.

Exit codes: 0 every variant is right, 1 some are not, 2 usage. Beside the JSON file a page in Markdown is written.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import machine
import octrt
import sources

PICTURES, BATCH, SIDE = 100, 20, 224
BLEND = 0.2  # how much of another picture a noisy copy holds
STANDARD = ["Conv", "MatMul"]  # what has a QOperator form in the ONNX standard


@dataclass(frozen=True)
class Variant:
    """Settings of quantize_static."""

    format: QuantFormat = QuantFormat.QDQ
    activations: QuantType = QuantType.QUInt8
    weights: QuantType = QuantType.QInt8
    per_channel: bool = False
    only: tuple = field(default=())  # operators that are quantised, all if empty
    extra: dict = field(default_factory=dict)


VARIANTS = {
    "qdq": Variant(),
    "qdq_per_channel": Variant(per_channel=True),
    "qdq_int8": Variant(activations=QuantType.QInt8, extra={"ActivationSymmetric": True}),
    "qdq_uint8_weights": Variant(weights=QuantType.QUInt8),
    "qdq_conv_only": Variant(only=("Conv",), per_channel=True),
    "qoperator": Variant(format=QuantFormat.QOperator, only=tuple(STANDARD)),
    "qoperator_per_channel": Variant(format=QuantFormat.QOperator, only=tuple(STANDARD), per_channel=True),
    "qoperator_com_microsoft": Variant(format=QuantFormat.QOperator),
}


def pictures():
    """[PICTURES, 3, SIDE, SIDE]: blots of colour, each picture other ones, and the same with some of other blots."""
    generator = torch.Generator().manual_seed(sources.SEED)
    clean, other = (blots(generator) for _ in range(2))
    return clean, clean + BLEND * other


def blots(generator):
    coarse = torch.randn(PICTURES, 3, 7, 7, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic", align_corners=False)


def network(clean):
    """A ResNet-18 whose classes are the pictures."""
    torch.manual_seed(sources.SEED)
    model = torchvision.models.resnet18(weights=None, num_classes=PICTURES).eval()
    sources.settle(sources.Built(model, (clean[:BATCH],), ["input"]))
    head, model.fc = model.fc, torch.nn.Identity()
    with torch.no_grad():
        features = torch.cat([model(part) for part in clean.split(BATCH)])
        centre = features.mean(0)
        weight = torch.nn.functional.normalize(features - centre) * 10 / (features - centre).norm(dim=1).mean()
        head.weight.copy_(weight)
        head.bias.copy_(-weight @ centre)
    model.fc = head
    return model


class Reader(CalibrationDataReader):
    def __init__(self, batches):
        self.left = iter(batches)

    def get_next(self):
        batch = next(self.left, None)
        return None if batch is None else {"input": batch.numpy()}


def quantise(source, target, variant, clean):
    quantize_static(
        str(source), str(target), Reader(clean.split(BATCH)),
        quant_format=variant.format, per_channel=variant.per_channel, activation_type=variant.activations,
        weight_type=variant.weights, op_types_to_quantize=list(variant.only) or None, extra_options=variant.extra,
    )  # fmt: skip


def quantum(path, fallback):
    """The scale of the DequantizeLinear that makes the output, or `fallback`."""
    graph = onnx.load(path).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.output[0] == graph.output[0].name and node.op_type == "DequantizeLinear":
            return float(constants[node.input[1]])
    return fallback


def run_onnxruntime(path, batches, level):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"input": x.numpy()})[0] for x in batches])


def run_octrt(program, path, batches, timeout):
    outputs = []
    for x in batches:
        with tempfile.TemporaryDirectory() as folder:
            state, found, message = octrt.run(program, path, {"input": x.numpy()}, folder, timeout)
        if state != "ran":
            return None, {"state": state, "unsupported": octrt.unsupported(message), "message": message[-500:]}
        outputs.append(found[0])
    return np.concatenate(outputs), {"state": "ran"}


def apart(found, expected, step):
    """How many of the classes are the same, and the largest and mean difference in quanta."""
    gap = np.abs(found.astype(np.float64) - expected) / step
    same = int((found.argmax(1) == expected.argmax(1)).sum())
    return {"same_top1": same, "largest_quanta": round(float(gap.max()), 3), "mean_quanta": round(float(gap.mean()), 4)}


def examine(args, path, noisy):
    levels = onnxruntime.GraphOptimizationLevel
    batches = noisy.split(BATCH)
    fused = run_onnxruntime(path, batches, levels.ORT_ENABLE_ALL)
    literal = run_onnxruntime(path, batches, levels.ORT_DISABLE_ALL)
    step = quantum(path, float(np.abs(fused).max()) / 127)
    found, record = run_octrt(args.octrt, path, batches, args.timeout)
    record |= {"quantum": step, "top1": int((fused.argmax(1) == np.arange(PICTURES)).sum())}
    record["onnxruntime_without_optimisations"] = apart(literal, fused, step)
    if found is not None:
        record |= {"to_onnxruntime": apart(found, fused, step), "to_unoptimised": apart(found, literal, step)}
        record["right"] = within(record, args.quanta)
    return record


def within(record, quanta):
    """Near ONNX Runtime as it fuses the graph, or as it computes node by node."""
    both = record["to_onnxruntime"], record["to_unoptimised"]
    return any(one["same_top1"] == PICTURES and one["largest_quanta"] <= quanta for one in both)


PAGE = """# A quantised ResNet-18

{setting} ResNet-18 with {pictures} classes, quantised by ONNX Runtime's quantize_static, {pictures} pictures. **Classes**: how many
pictures get the class that they get of ONNX Runtime. **Quanta**: the largest difference (the mean) in steps of the output, to ONNX
Runtime as it fuses the graph, as it computes node by node, and between these two.

| variant | right | classes | quanta to fused | to node by node | ONNX Runtime's two |
| --- | --- | --- | --- | --- | --- |
"""


def page(head, records):
    """A row for each variant."""
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    text = PAGE.format(setting=f"{head['date']}, {head['cpu']}; {versions}.", pictures=PICTURES)

    def quanta(one):
        return f"{one['largest_quanta']:.1f} ({one['mean_quanta']:.3f})"

    for name, r in records.items():
        if r["state"] != "ran":
            text += f"| {name} | {r['state']} | | | | {quanta(r['onnxruntime_without_optimisations'])} |\n"
            continue
        both = r["to_onnxruntime"], r["to_unoptimised"]
        cells = [name, "yes" if r["right"] else "no", str(max(one["same_top1"] for one in both))]
        cells += [quanta(one) for one in (*both, r["onnxruntime_without_optimisations"])]
        text += f"| {' | '.join(cells)} |\n"
    return text


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--octrt", default="octrt", metavar="PATH", help="the program (%(default)s)")
    add("--variants", default=",".join(VARIANTS), metavar="V,V", help="%(default)s")
    add("--quanta", type=float, default=2.0, help="how far outputs may lie apart (%(default)s)")
    add("--json", type=Path, metavar="FILE")
    add("--keep", type=Path, metavar="DIR", help="keep the models here, and take those that are there")
    add("--timeout", type=float, default=600, metavar="S")
    args = parser.parse_args()
    args.octrt = shutil.which(args.octrt) or parser.error(f"no program {args.octrt}")
    args.variants = args.variants.split(",")
    if unknown := set(args.variants) - set(VARIANTS):
        parser.error(f"no such variants: {', '.join(sorted(unknown))}")
    return args


def make(folder, variants, clean):
    """The quantised models, by variant, in `folder`."""
    paths = {name: folder / f"resnet18_{name}.onnx" for name in variants}
    if all(path.exists() for path in paths.values()):
        return paths
    plain, prepared = folder / "resnet18_float.onnx", folder / "resnet18_prepared.onnx"
    torch.onnx.export(network(clean), (clean[:BATCH],), str(plain), dynamo=False, opset_version=17,
                      input_names=["input"], output_names=["output"])  # fmt: skip
    quant_pre_process(str(plain), str(prepared))
    for name, path in paths.items():
        quantise(prepared, path, VARIANTS[name], clean)
    return paths


def main():
    args = arguments()
    torch.set_num_threads(1)
    clean, noisy = pictures()
    records = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in make(folder, args.variants, clean).items():
            records[name] = examine(args, path, noisy)
            print(f"{name}: {json.dumps(records[name])}", flush=True)
    if args.json:
        head = {"schema": "octrt.qdq/1"} | machine.about(args.octrt, ("onnxruntime", "onnx", "torch"))
        args.json.write_text(json.dumps(head | {"variants": records}, indent=1) + "\n")
        args.json.with_suffix(".md").write_text(page(head, records))
    raise SystemExit(0 if all(r.get("right") for r in records.values()) else 1)


if __name__ == "__main__":
    main()
