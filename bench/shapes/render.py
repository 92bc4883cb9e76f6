#!/usr/bin/env python3
"""Renders pictures of ten kinds of shapes on textured backgrounds.

A picture is a function of (seed, label, index): the same three give the same pixels with the
package versions of requirements.txt. Coordinates inside a scene are fractions of the side, so a
scene looks the same at every size; only the pixel noise, drawn last, depends on it.

    python render.py OUT --seed 2 --per-class 500       # OUT/<label>/<label>_<index>.jpg
    python render.py OUT --seed 2 --per-class 3 --size 160 --quality 90
"""

import argparse
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

LABELS = [
    "arrow",
    "circle",
    "crescent",
    "cross",
    "heart",
    "hexagon",
    "ring",
    "square",
    "star",
    "triangle",
]

SUPERSAMPLE = 4  # masks are drawn at this multiple of the size and averaged down
SIZES = (64, 80, 96, 128, 160, 224)  # sides of the pictures when none is asked for
QUALITIES = (60, 95)  # range of JPEG qualities when none is asked for
MIN_CONTRAST = 0.13  # least distance of a fill colour from a background colour


# --- outlines: (points, 255 to fill or 0 to erase), inside the unit circle ---------------------


def _ngon(n, radius=1.0, centre=(0.0, 0.0)):
    angle = np.arange(n) * (2 * math.pi / n)
    return np.stack([centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)], 1)


def _arrow(rng):
    shaft, neck, head = rng.uniform(0.14, 0.28), rng.uniform(-0.1, 0.35), rng.uniform(0.5, 0.75)
    upper = [(-0.95, shaft), (neck, shaft), (neck, head), (1.0, 0.0)]
    return [(np.array(upper + [(x, -y) for x, y in upper[2::-1]]), 255)]


def _circle(rng):
    return [(_ngon(96), 255)]


def _crescent(rng):
    bite, shift = rng.uniform(0.75, 0.95), rng.uniform(0.4, 0.62)
    return [(_ngon(96), 255), (_ngon(96, bite, (shift, 0.0)), 0)]


def _cross(rng):
    arm = rng.uniform(0.2, 0.38)
    quarter = np.array([(0.97, -arm), (0.97, arm), (arm, arm)])
    turn = np.array([(0.0, 1.0), (-1.0, 0.0)])
    return [(np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)]), 255)]


def _heart(rng):
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return [(np.stack([x, y + 2.5], 1) / 16.5, 255)]


def _hexagon(rng):
    return [(_ngon(6), 255)]


def _ring(rng):
    return [(_ngon(96), 255), (_ngon(96, rng.uniform(0.45, 0.78)), 0)]


def _square(rng):
    return [(_ngon(4), 255)]


def _star(rng):
    points = _ngon(10)
    points[1::2] *= rng.uniform(0.36, 0.52)
    return [(points, 255)]


def _triangle(rng):
    return [(_ngon(3), 255)]


OUTLINES = {
    "arrow": _arrow,
    "circle": _circle,
    "crescent": _crescent,
    "cross": _cross,
    "heart": _heart,
    "hexagon": _hexagon,
    "ring": _ring,
    "square": _square,
    "star": _star,
    "triangle": _triangle,
}


def _place(rng):
    """A random affine map from the unit circle into the picture: (2x2 matrix, centre, radius)."""
    radius = rng.uniform(0.14, 0.42)
    turn = rng.uniform(0, 2 * math.pi)
    stretch = math.exp(rng.uniform(-0.16, 0.16))
    shear = rng.uniform(-0.12, 0.12)
    cos, sin = math.cos(turn), math.sin(turn)
    rotation = np.array([(cos, -sin), (sin, cos)])
    squash = np.array([(math.sqrt(stretch), shear), (0.0, 1 / math.sqrt(stretch))])
    centre = rng.uniform(0.92 * radius, 1 - 0.92 * radius, 2)
    return radius * (squash @ rotation), centre, radius


# --- textures: float32 [size, size, 3] in 0..1 ---------------------------------------------------


def _field(rng, size, cells):
    """Smooth noise in 0..1: a random grid of cells x cells, enlarged."""
    grid = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.clip(np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC)), 0, 1)


def _wave(phase, size, frequency):
    """A square wave of period 1 in `phase`, its edges about one pixel wide; 0..1."""
    sharp = max(1.0, size / (math.pi * frequency))
    return np.clip(0.5 + 0.5 * sharp * np.sin(2 * math.pi * phase), 0, 1)


def _texture(rng, size, first, second, kinds):
    """Mixes two colours by a pattern of a random kind out of `kinds`."""
    kind = kinds[rng.integers(len(kinds))]
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    u, v = line[None, :], line[:, None]
    turn, frequency = rng.uniform(0, 2 * math.pi), rng.uniform(3, 14)
    offset = rng.random(2)
    along = math.cos(turn) * (u - 0.5) + math.sin(turn) * (v - 0.5)
    across = math.cos(turn) * (v - 0.5) - math.sin(turn) * (u - 0.5)
    if kind == "plain":
        mix = np.zeros((size, size), np.float32)
    elif kind == "gradient":
        mix = 0.5 + 0.75 * along
    elif kind == "radial":
        mix = 1.4 * np.hypot(u - offset[0], v - offset[1])
    elif kind == "stripes":
        mix = _wave(frequency * along + offset[0], size, frequency)
    elif kind == "checks":
        a = _wave(frequency / 2 * along + offset[0], size, frequency / 2)
        b = _wave(frequency / 2 * across + offset[1], size, frequency / 2)
        mix = a + b - 2 * a * b
    elif kind == "dots":
        a = np.cos(2 * math.pi * (frequency * along + offset[0]))
        b = np.cos(2 * math.pi * (frequency * across + offset[1]))
        mix = np.clip(0.5 + 0.2 * size / frequency * (a + b - 0.9), 0, 1)
    elif kind == "clouds":
        cells = int(rng.integers(3, 8))
        mix = 0.6 * _field(rng, size, cells) + 0.4 * _field(rng, size, 3 * cells)
    elif kind == "grain":
        mix = _field(rng, size, int(rng.integers(20, 49)))
    elif kind == "waves":
        bend = 0.05 * np.sin(2 * math.pi * (3 * across + offset[1]))
        mix = 0.5 + 0.5 * np.sin(2 * math.pi * (frequency * (along + bend) + offset[0]))
    mix = np.clip(mix, 0, 1).astype(np.float32)[..., None]
    return first + mix * (second - first)


BACKGROUNDS = (
    "plain gradient radial stripes checks dots clouds clouds grain grain waves".split()
)
FILLS = "plain plain gradient radial stripes clouds grain".split()


def _colours(rng):
    """Two background and two fill colours; each fill differs visibly from each background."""
    luma = np.array([(0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081)])
    weight = np.array([(1.0,), (0.5,), (0.5,)])  # JPEG halves the resolution of the chroma
    while True:
        four = rng.random((4, 3))
        four[1] = four[0] + rng.uniform(0.1, 0.7) * (four[1] - four[0])
        four[3] = four[2] + rng.uniform(0.0, 0.5) * (four[3] - four[2])
        space = ((luma @ four.T) * weight).T
        gaps = np.linalg.norm(space[:2, None] - space[None, 2:], axis=-1)
        if gaps.min() >= MIN_CONTRAST:
            return four.astype(np.float32)


# --- masks: float32 [size, size, 1] in 0..1 ------------------------------------------------------


def _average(mask, blur=0.0):
    """Brings a supersampled mask down to the size of the picture."""
    mask = mask.reduce(SUPERSAMPLE)
    if blur:
        mask = mask.filter(ImageFilter.BoxBlur(blur))
    return np.asarray(mask, dtype=np.float32)[..., None] / 255


def _shape_mask(rng, label, size):
    """The supersampled mask of the shape, and its radius as a fraction of the side."""
    side = size * SUPERSAMPLE
    matrix, centre, radius = _place(rng)
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    for points, value in OUTLINES[label](rng):
        draw.polygon([tuple(p) for p in (points @ matrix + centre) * side], fill=value)
    round_by = rng.uniform(0.03, 0.1) * radius * side
    if rng.random() < 0.25:  # round the corners
        mask = mask.filter(ImageFilter.BoxBlur(round_by)).point(lambda x: 255 * (x >= 128))
    return mask, radius


def _clutter(rng, size, picture):
    """Draws thin lines and small dots, too small to be taken for the shape."""
    side = size * SUPERSAMPLE
    for _ in range(rng.integers(0, 4)):
        mask = Image.new("L", (side, side))
        draw = ImageDraw.Draw(mask)
        ends, width, dot = rng.random((2, 2)) * side, rng.uniform(0.006, 0.022), rng.random() < 0.5
        if dot:
            (x, y), r = ends[0], 1.8 * width * side
            draw.ellipse([x - r, y - r, x + r, y + r], fill=255)
        else:
            draw.line([tuple(ends[0]), tuple(ends[1])], fill=255, width=max(1, round(width * side)))
        mask = _average(mask)
        picture = picture + mask * (rng.random(3, dtype=np.float32) - picture)
    return picture


# --- pictures ------------------------------------------------------------------------------------


def render(label, rng, size):
    """One picture of a `label` shape, `size` x `size` RGB, drawn from `rng`."""
    back, back2, fill, fill2 = _colours(rng)
    picture = _texture(rng, size, back, back2, BACKGROUNDS)
    if rng.random() < 0.4:
        picture = _clutter(rng, size, picture)
    mask, radius = _shape_mask(rng, label, size)
    side = size * SUPERSAMPLE

    shift = rng.uniform(-0.05, 0.05, 2) * side
    soft, dark = rng.uniform(0.01, 0.04) * size, rng.uniform(0.2, 0.6)
    if rng.random() < 0.3:  # a shadow
        shadow = mask.transform(mask.size, Image.Transform.AFFINE, (1, 0, shift[0], 0, 1, shift[1]))
        picture = picture * (1 - dark * _average(shadow, soft))

    inside = _texture(rng, size, fill, fill2, FILLS)
    border, edge = rng.uniform(0.04, 0.12) * radius * side, rng.random(3, dtype=np.float32)
    cover = _average(mask)
    if rng.random() < 0.25:  # a border
        inner = mask.filter(ImageFilter.BoxBlur(border)).point(lambda x: 255 * (x >= 252))
        inside = edge + _average(inner) * (inside - edge)
    picture = picture + cover * (inside - picture)
    if rng.random() < 0.4:
        picture = _clutter(rng, size, picture)

    blur, noise = rng.uniform(0.002, 0.012) * size, rng.uniform(0, 0.07)
    blurred, noisy = rng.random() < 0.3, rng.random() < 0.6
    if noisy:
        picture = picture + noise * rng.standard_normal(picture.shape, dtype=np.float32)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(blur)) if blurred else image


def picture_jpeg(seed, label, index, size=None, quality=None):
    """The bytes of picture (seed, label, index) as JPEG; size and quality are drawn if not given."""
    rng = np.random.default_rng([seed, LABELS.index(label), index])
    drawn_size = int(rng.choice(SIZES))
    drawn_quality = int(rng.integers(QUALITIES[0], QUALITIES[1] + 1))
    image = render(label, rng, size or drawn_size)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality or drawn_quality)
    return out.getvalue()


def main():
    parser = argparse.ArgumentParser(description="Render JPEGs of shapes, a folder per class.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=2, help="2 is the test set (default)")
    parser.add_argument("--per-class", type=int, default=10)
    parser.add_argument("--size", type=int, help="side in pixels (default: drawn per picture)")
    parser.add_argument("--quality", type=int, help="JPEG quality (default: drawn per picture)")
    args = parser.parse_args()
    for label in LABELS:
        folder = args.out / label
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(args.per_class):
            data = picture_jpeg(args.seed, label, index, args.size, args.quality)
            (folder / f"{label}_{index:04}.jpg").write_bytes(data)


if __name__ == "__main__":
    main()
