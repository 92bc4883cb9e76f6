#!/usr/bin/env python3
"""Writes the trained network as an ONNX file and compares ONNX Runtime with PyTorch.

    python export.py [--weights weights.pt]

TorchScript exporter, opset 17. The batch normalisations stay nodes: one that follows an Add cannot
be folded by an exporter, so those that follow a Conv are kept like it.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from network import OctResNet
from pictures import PREPROCESS, SIDE, VALIDATION_SEED, normalise, rendered_set
from render import LABELS

HERE = Path(__file__).parent
MODEL = HERE / "oct_resnet_shapes.onnx"
DESCRIPTION = "Oct-ResNet, alpha 0.5, ten kinds of shapes. MIT OR Apache-2.0."
MAX_BYTES = 1_000_000


def drop_shared_copies(graph):
    """Removes each Identity of an initializer, which the exporter writes for equal tensors."""
    names = {t.name for t in graph.initializer}
    copies = [n for n in graph.node if n.op_type == "Identity" and n.input[0] in names]
    renamed = {n.output[0]: n.input[0] for n in copies}
    for node in copies:
        graph.node.remove(node)
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)


def describe(model):
    """Metadata in; everything that tells of the machine of the export out."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        value.doc_string = ""
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
    model.graph.name = "oct_resnet_shapes"
    model.graph.doc_string = ""
    model.producer_name, model.producer_version = "octrt bench/shapes", "1"
    model.doc_string = DESCRIPTION
    del model.metadata_props[:]
    metadata = {"octrt.labels": "\n".join(LABELS), "octrt.preprocess": json.dumps(PREPROCESS)}
    onnx.helper.set_model_props(model, metadata)


def export(network, path):
    """The exporter's PRESERVE mode is the one that leaves the batch normalisations alone."""
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, SIDE, SIDE),),
        path,
        dynamo=False,
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "N"}, "logits": {0: "N"}},
    )
    model = onnx.load(path)
    drop_shared_copies(model.graph)
    describe(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def check(network, path):
    data = path.read_bytes()
    assert len(data) < MAX_BYTES, f"{len(data)} bytes"
    for trace in (sys.prefix, str(HERE.resolve()), str(Path.home()), "site-packages", ".py"):
        assert trace.encode() not in data, f"a trace of this machine in the file: {trace}"
    x = normalise(rendered_set(VALIDATION_SEED, 20)[0])
    with torch.no_grad():
        want = network(torch.from_numpy(x)).numpy()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": x})
    difference = np.abs(found - want).max()
    print(f"{len(data)} bytes, {sum(p.numel() for p in network.parameters())} parameters")
    print(f"{len(x)} pictures: |ORT - torch| <= {difference:.2e}, |logit| <= {np.abs(want).max():.1f}")
    assert difference < 1e-3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Export the trained network to ONNX.")
    parser.add_argument("--weights", type=Path, default=HERE / "weights.pt")
    torch.set_num_threads(1)
    network = OctResNet(len(LABELS))
    network.load_state_dict(torch.load(parser.parse_args().weights, weights_only=True))
    network.eval()
    export(network, MODEL)
    check(network, MODEL)
