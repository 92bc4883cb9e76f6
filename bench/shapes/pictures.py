"""From JPEG bytes to the network's input, with Pillow: decode, resize the whole picture, normalise."""

import io

import numpy as np
from PIL import Image

from render import LABELS, picture_jpeg

SIDE = 64  # of the network's input
MEAN = (0.5, 0.5, 0.5)  # of pixels in 0..1
STD = (0.25, 0.25, 0.25)

TRAIN_SEED, TEST_SEED, VALIDATION_SEED = 1, 2, 3

# What a program needs to feed the network; stored in the ONNX file.
PREPROCESS = {
    "resize": "whole",
    "filter": "bilinear",
    "order": "rgb",
    "scale": 1 / 255,
    "mean": list(MEAN),
    "std": list(STD),
}


def decode(jpeg):
    return Image.open(io.BytesIO(jpeg)).convert("RGB")


def pixels(image, side=SIDE):
    """uint8 [3, side, side]: the whole picture, resized (bilinear, antialiased when shrinking)."""
    small = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def normalise(batch):
    """float32 of uint8 [n, 3, h, w], as PREPROCESS says."""
    mean = np.array(MEAN, np.float32)[:, None, None]
    std = np.array(STD, np.float32)[:, None, None]
    return (batch.astype(np.float32) * np.float32(1 / 255) - mean) / std


def rendered_set(seed, per_class):
    """(uint8 [n, 3, SIDE, SIDE], class numbers [n]) of the JPEGs that `render.py` writes."""
    keys = [(c, i) for i in range(per_class) for c in range(len(LABELS))]
    x = np.stack([pixels(decode(picture_jpeg(seed, LABELS[c], i))) for c, i in keys])
    return x, np.array([c for c, _ in keys])
