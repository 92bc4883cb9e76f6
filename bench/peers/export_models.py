#!/usr/bin/env python3
"""Writes the networks that the peers are measured on, with random weights, as ONNX files.

    python export_models.py OUT [--models resnet50 mobilenet_v2 ...]

For each network NAME: OUT/NAME.onnx, OUT/NAME.input.npy (float32 [1, 3, 224, 224], normal) and
OUT/NAME.output.npy (float32 [1, 1000], what ONNX Runtime computes). TorchScript exporter, opset 17,
batch 1. Each BatchNormalization is a node of the graph; OUT/resnet50_folded.onnx is the same network
with them folded into the convolutions, OUT/oct_resnet50_50_dynamo.onnx (at each alpha) the same network
from PyTorch's other exporter.

The weights are random (seeded). The statistics of each batch normalisation are those of its input
over a batch of random pictures, so that activations stay of order one through the whole network.
"""

import argparse
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck

from octave import OctBottleneck, OctResNet

SEED = 1
CALIBRATION_BATCH = 8
SIDE, CLASSES, OPSET = 224, 1000, 17
FOLDED = ("resnet50",)  # networks that also get a file without BatchNormalization
ALPHAS = {"125": 0.125, "25": 0.25, "50": 0.5, "75": 0.75}
DYNAMO = tuple(f"oct_resnet50_{a}" for a in ALPHAS)  # networks that also get a file of the other exporter
TOLERANCE = 1e-3  # ONNX Runtime against PyTorch, largest difference over root mean square


class MobileNetV1(nn.Sequential):
    """MobileNet 1.0 (Howard et al. 2017, table 1): a stem and 13 depthwise-separable blocks."""

    # output channels and stride of each block
    BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2))
    BLOCKS += ((512, 1),) * 5 + ((1024, 2), (1024, 1))

    def __init__(self):
        layers = self.conv_bn(3, 32, 3, 2)
        channels = 32
        for out, stride in self.BLOCKS:
            layers += self.conv_bn(channels, channels, 3, stride, groups=channels)
            layers += self.conv_bn(channels, out, 1)
            channels = out
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
        super().__init__(*layers, *head)

    @staticmethod
    def conv_bn(c_in, c_out, kernel, stride=1, groups=1):
        conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(c_out), nn.ReLU(inplace=True)]


NETWORKS = {
    "resnet50": torchvision.models.resnet50,
    "mobilenet_v2": torchvision.models.mobilenet_v2,
    "mobilenet_v1": MobileNetV1,
    "squeezenet1_1": torchvision.models.squeezenet1_1,
    "resnext50_32x4d": torchvision.models.resnext50_32x4d,
    "densenet121": torchvision.models.densenet121,
} | {f"oct_resnet50_{name}": partial(OctResNet, (3, 4, 6, 3), alpha) for name, alpha in ALPHAS.items()}


def build(name):
    """The network with random convolutions and measured batch normalisations, in eval mode."""
    torch.manual_seed(SEED)
    network = NETWORKS[name]()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
        norm.momentum = None  # statistics are plain averages over the batches seen
    for module in network.modules():
        if isinstance(module, Bottleneck):
            # As in trained networks, a block changes its input a little; rounding errors then grow little.
            module.bn3.weight.data *= 0.2
        if isinstance(module, OctBottleneck):
            for norm in module.last_norms:
                norm.weight.data *= 0.2
    network.eval()
    for norm in norms:
        norm.train()
    with torch.no_grad():
        network(torch.randn(CALIBRATION_BATCH, 3, SIDE, SIDE))
    return network.eval()


def export_dynamo(network, path):
    """One ONNX file, by the exporter that traces with torch.export, as it is by default."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network, (torch.zeros(1, 3, SIDE, SIDE),), dynamo=True,
                                    input_names=["input"], output_names=["output"])  # fmt: skip
        program.save(str(path), include_initializers=True, external_data=False)
    onnx.checker.check_model(str(path), full_check=True)


def export(network, path, training):
    """One ONNX file; PRESERVE keeps BatchNormalization nodes, EVAL folds them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter announces its successor
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, SIDE, SIDE),),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            training=training,
            do_constant_folding=training == torch.onnx.TrainingMode.EVAL,
        )
    onnx.checker.check_model(str(path), full_check=True)


def count(path, op_type):
    return sum(n.op_type == op_type for n in onnx.load(str(path)).graph.node)


def run(path, x):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x})[0]


def write(name, folder):
    network = build(name)
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    generator = np.random.default_rng(SEED)
    x = generator.standard_normal((1, 3, SIDE, SIDE), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()

    path = folder / f"{name}.onnx"
    export(network, path, torch.onnx.TrainingMode.PRESERVE)
    files = {path: norms}
    if name in FOLDED:
        folded = folder / f"{name}_folded.onnx"
        export(network, folded, torch.onnx.TrainingMode.EVAL)
        files[folded] = 0
    if name in DYNAMO:
        dynamo = folder / f"{name}_dynamo.onnx"
        export_dynamo(network, dynamo)
        files[dynamo] = None  # this exporter folds those that follow a single convolution
    for file, wanted in files.items():
        found = count(file, "BatchNormalization")
        if wanted is not None and found != wanted:
            raise SystemExit(f"{file}: {found} BatchNormalization nodes, expected {wanted}")
        y = run(file, x)
        off = np.abs(y - expected).max() / np.sqrt(np.mean(expected**2))
        print(f"{file}: {found} BatchNormalization, output rms {np.sqrt(np.mean(y**2)):.3f}, "
              f"off PyTorch by {off:.1e}")  # fmt: skip
        if not off < TOLERANCE:
            raise SystemExit(f"{file}: ONNX Runtime and PyTorch differ")
        np.save(file.with_suffix(".input.npy"), x)
        np.save(file.with_suffix(".output.npy"), y)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the files; made if missing")
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        write(name, args.out)


if __name__ == "__main__":
    main()
