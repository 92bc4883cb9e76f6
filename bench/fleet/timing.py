"""Times a model in octrt, ONNX Runtime and OpenVINO, turn by turn on one core, as bench/peers does."""

import sys
import time
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "peers"))

from models import Model  # noqa: E402
from report import flat, paired_ratio  # noqa: E402
from runtimes import Failure, Octrt, PythonRuntime  # noqa: E402

PEERS = ("onnxruntime", "openvino")
ROUNDS = 5
TURN = 0.4  # seconds that a turn takes about; at least one run
MOST_RUNS = 20
SETTLE = 0.02  # seconds before each turn, in which threads of the turn before stop spinning


def measure(path, inputs, input_files, options):
    """{"median_ms": {runtime: ms}, "ratio": {peer: octrt / peer}, "missing": {runtime: its error}}.

    `options` has `octrt` (the program), `dims` (its arguments for dynamic dimensions), `core`."""
    model = Model(path.stem, path, inputs, input_files, [], 0)
    found, missing = {}, {}
    try:
        for key in ("octrt", *PEERS):
            try:
                found[key] = start(key, options)
                if key != "octrt":
                    found[key].load(model)
            except Failure as failure:
                missing[key] = str(failure)[-300:]
                if key in found:
                    found.pop(key).close()
        samples = rounds(found, model, missing)
    finally:
        for runtime in found.values():
            runtime.close()
    ratios = {key: round(paired_ratio(samples["octrt"], samples[key])[0], 3)
              for key in PEERS if key in samples and "octrt" in samples}  # fmt: skip
    medians = {key: round(median(flat(times)), 4) for key, times in samples.items()}
    result = {"median_ms": medians, "ratio": ratios}
    return result | ({"missing": missing} if missing else {})


def start(key, options):
    cores = [options["core"]]
    if key == "octrt":
        return Octrt(options["octrt"], options["dims"], cores, 1)
    return PythonRuntime(key, cores, 1)


def rounds(found, model, missing):
    samples, runs = {key: [] for key in found}, {}
    for key in list(found):  # how long a run takes
        try:
            once = min(found[key].measure(model, 1, 1))
            runs[key] = max(1, min(MOST_RUNS, int(TURN * 1000 / once)))
        except Failure as failure:
            missing[key] = str(failure)[-300:]
            samples.pop(key)
    for _ in range(ROUNDS):
        for key in samples:
            time.sleep(SETTLE)
            samples[key].append(found[key].measure(model, 1, runs[key]))
    return samples
