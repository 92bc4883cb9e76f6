#!/usr/bin/env python3
"""Tests the ONNX file with ONNX Runtime; needs no PyTorch.

    python evaluate.py

Writes test_accuracy.json (over the test set, `render.py --seed 2`), the example pictures, and
expected.json (what ONNX Runtime says of them). The examples are the first scenes of the test set,
rendered at one size: number i has class i modulo 10 and index i div 10.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

from pictures import TEST_SEED, decode, normalise, pixels, rendered_set
from render import LABELS, picture_jpeg

HERE = Path(__file__).parent
PER_CLASS = 500
EXAMPLES, EXAMPLE_SIZE, EXAMPLE_QUALITY = 12, 160, 88


def logits(session, batch):
    return session.run(None, {"input": normalise(batch)})[0]


def test_accuracy(session):
    x, y = rendered_set(TEST_SEED, PER_CLASS)
    found = np.concatenate([logits(session, x[i : i + 100]) for i in range(0, len(x), 100)])
    top1 = found.argmax(1)
    confusion = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(confusion, (y, top1), 1)
    wrong = {
        f"{LABELS[c]} as {LABELS[p]}": int(confusion[c, p])
        for c in range(len(LABELS))
        for p in range(len(LABELS))
        if c != p and confusion[c, p]
    }
    return {
        "seed": TEST_SEED,
        "pictures": len(x),
        "correct": int((top1 == y).sum()),
        "top1": round(float((top1 == y).mean()), 4),
        "top1_per_class": {l: round(confusion[c, c] / PER_CLASS, 4) for c, l in enumerate(LABELS)},
        "mistakes": dict(sorted(wrong.items(), key=lambda item: -item[1])),
    }


def write_examples(folder):
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    for i in range(EXAMPLES):
        label, index = LABELS[i % len(LABELS)], i // len(LABELS)
        data = picture_jpeg(TEST_SEED, label, index, EXAMPLE_SIZE, EXAMPLE_QUALITY)
        (folder / f"{label}_{index}.jpg").write_bytes(data)


def expected(session, folder):
    found = {}
    for path in sorted(folder.glob("*.jpg")):
        row = logits(session, pixels(decode(path.read_bytes()))[None])[0].astype(np.float64)
        share = np.exp(row - row.max())
        share /= share.sum()
        best = int(share.argmax())
        found[path.name] = {
            "label": LABELS[best],
            "probability": round(float(share[best]), 6),
            "logits": [round(float(v), 4) for v in row],
        }
    return found


def main():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = str(HERE / "oct_resnet_shapes.onnx")
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    report = test_accuracy(session)
    (HERE / "test_accuracy.json").write_text(json.dumps(report, indent=2) + "\n")
    write_examples(HERE / "pictures")
    labelled = expected(session, HERE / "pictures")
    lines = [f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in labelled.items()]
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    right = sum(name.startswith(one["label"] + "_") for name, one in labelled.items())
    print(json.dumps(report, indent=2))
    print(f"examples: {right} of {len(labelled)} labelled correctly")


if __name__ == "__main__":
    main()
