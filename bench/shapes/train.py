#!/usr/bin/env python3
"""Trains the Oct-ResNet on pictures rendered on the fly and writes its weights.

    python train.py [--out weights.pt]

Every training picture is new: rendered at one of several sizes, encoded as JPEG, decoded and
resized. The first part of the training runs on smaller inputs, which is faster and teaches the
same features.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from network import OctResNet
from pictures import SIDE, TRAIN_SEED, VALIDATION_SEED, decode, normalise, pixels, rendered_set
from render import LABELS, picture_jpeg

BATCH = 64
SMALL_SIDE, SMALL_STEPS, STEPS = 48, 1900, 3100
RATE, DECAY = 4e-3, 0.02


def point_sampled(image, side):
    """Like `pixels`, without the antialiasing: what simpler resizers do."""
    w, h = image.size
    shape = (w / side, 0, 0, 0, h / side, 0)
    small = image.transform((side, side), Image.Transform.AFFINE, shape, Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


class Stream(Dataset):
    """Picture number `index` of the training; its number decides everything about it."""

    def __len__(self):
        return BATCH * STEPS

    def __getitem__(self, index):
        side = SMALL_SIDE if index < BATCH * SMALL_STEPS else SIDE
        rng = np.random.default_rng([TRAIN_SEED, index])
        label = int(rng.integers(len(LABELS)))
        image = decode(picture_jpeg(TRAIN_SEED, LABELS[label], index))
        resize = point_sampled if rng.random() < 0.1 else pixels
        return resize(image, side), label


def to_input(batch):
    x = torch.from_numpy(normalise(np.asarray(batch)))
    return x.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    hits = sum(
        int((model(to_input(x[i : i + 250])).argmax(1).numpy() == y[i : i + 250]).sum())
        for i in range(0, len(x), 250)
    )
    model.train()
    return hits / len(x)


def train(out):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    validation = rendered_set(VALIDATION_SEED, 100)
    model = OctResNet(len(LABELS)).to(memory_format=torch.channels_last)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS, pct_start=0.1)
    loss_of = torch.nn.CrossEntropyLoss()

    start, losses = time.time(), []
    loader = DataLoader(Stream(), BATCH, num_workers=1, prefetch_factor=8)
    for step, (x, y) in enumerate(loader, 1):
        loss = loss_of(model(to_input(x)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 100 == 0:
            line = f"step {step} loss {np.mean(losses[-100:]):.4f} {time.time() - start:.0f} s"
            if step % 500 == 0 or step == STEPS:
                line += f" validation {accuracy(model, *validation):.4f}"
            print(line, flush=True)
    torch.save(model.state_dict(), out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the network that tells shapes apart.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights.pt")
    train(parser.parse_args().out)
