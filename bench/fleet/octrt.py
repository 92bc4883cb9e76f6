"""octrt through its program: run a model, say what became of it."""

import re
import subprocess
from pathlib import Path

import numpy as np

UNSUPPORTED = 4  # the exit code of a model that octrt does not support
LINE = re.compile(r"^  (\S+) \((\S+?), opset \d+\): (.*?)(; nodes? .*)?$")


def version(program):
    return subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]


def dims(dynamic, inputs):
    """The `--dim` arguments of `octrt bench` for the dynamic axes [[input, axis], ...]."""
    pairs = ((name, axis) for name, axis in dynamic if name in inputs)
    return [a for name, axis in pairs for a in ("--dim", f"{name}:{axis}={inputs[name].shape[axis]}")]


def run(program, path, inputs, folder, timeout):
    """(state, outputs or None, message): state is `ran`, `refused`, `failed` or `timed out`. The inputs
    are arrays by name, in the model's order; files are made in `folder`."""
    files = []
    for i, x in enumerate(inputs.values()):
        files.append(str(Path(folder) / f"input_{i}.npy"))
        np.save(files[-1], x)
    command = [program, "run", str(path), *files, "--save-outputs", str(folder), "--color", "never"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return "timed out", None, f"longer than {timeout} s"
    message = done.stderr.strip().replace(str(path), path.name)
    if done.returncode:
        state = "refused" if done.returncode == UNSUPPORTED else "failed"
        return state, None, message or f"exit code {done.returncode}"
    outputs = []
    while (file := Path(folder) / f"output_{len(outputs)}.npy").exists():
        outputs.append(np.load(file))
    return "ran", outputs, message


def unsupported(message):
    """The operators and what of them is not supported, sorted, as `LSTM` or `Resize: cubic is ...`."""
    found = set()
    for name, domain, what in (m.group(1, 2, 3) for m in map(LINE.match, message.splitlines()) if m):
        name = name if domain == "ai.onnx" else f"{domain}.{name}"
        found.add(name if what == "the operator is not supported" else f"{name}: {what}")
    return sorted(found)
