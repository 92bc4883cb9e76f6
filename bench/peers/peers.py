#!/usr/bin/env python3
"""Measures octrt beside ONNX Runtime, OpenVINO and MNN: same models, same core, turn by turn.

    python peers.py MODEL.onnx... --octrt PATH [--rounds 10] [--runs 3] [--warmup 2] [--json FILE]

In every round each model visits every runtime, one after the other, for a few runs. Before that the
outputs of all runtimes are compared. Prints a table in markdown: median (minimum) in milliseconds,
the lowest median in bold, and the ratio of octrt to the best peer; below 1 octrt is faster.

Exit codes: 0 measured, 1 nothing to measure, 2 usage, 3 the outputs differ.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import models
import report
from runtimes import PYTHON_RUNTIMES, Failure, Octrt, PythonRuntime

RUNTIMES = ["octrt", *PYTHON_RUNTIMES]
SETTLE = 0.02  # seconds before each turn, in which threads of the turn before stop spinning
TOLERANCE = 5e-3  # largest difference over root mean square; Winograd's algorithm costs digits


def say(text):
    print(text, file=sys.stderr, flush=True)


def fail(code, text):
    say(text)
    raise SystemExit(code)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="ONNX file")
    parser.add_argument(
        "--octrt", default="octrt", metavar="PATH", help="the program (%(default)s)"
    )
    parser.add_argument("--octrt-args", default="", metavar="ARGS",
                        help="more arguments for octrt, as '--precision strict'")  # fmt: skip
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=RUNTIMES)
    parser.add_argument("--rounds", type=positive, default=10, help="turns of each (%(default)s)")
    parser.add_argument("--runs", type=positive, default=3, help="timed runs a turn (%(default)s)")
    parser.add_argument("--warmup", type=positive, default=2,
                        help="runs before them that do not count (%(default)s)")  # fmt: skip
    parser.add_argument("--threads", type=positive, default=1)
    parser.add_argument("--core", type=int, nargs="+", metavar="N",
                        help="the cores, one for each thread; the last ones if not given")  # fmt: skip
    parser.add_argument("--tolerance", type=float, default=TOLERANCE,
                        help="largest difference of outputs over their rms (%(default)s)")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="where all samples go")
    args = parser.parse_args()
    allowed = sorted(os.sched_getaffinity(0))
    args.core = args.core or allowed[-args.threads :]
    if len(set(args.core)) != args.threads or not set(args.core) <= set(allowed):
        parser.error(f"{args.threads} different cores of {allowed} are needed, got {args.core}")
    return args


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


def start(args):
    """The runtimes that can be had, by key."""
    found = {}
    for key in args.runtimes:
        try:
            if key == "octrt":
                found[key] = Octrt(args.octrt, args.octrt_args, args.core, args.threads)
            else:
                found[key] = PythonRuntime(key, args.core, args.threads)
        except Failure as failure:
            say(f"SKIPPED {key}: {failure}")
    return found


def load(runtimes, model):
    """Loads the model everywhere; returns the largest difference of each runtime's outputs from those
    of ONNX Runtime, or of the first one. A runtime that refuses the model is not in the result."""
    outputs = {}
    for key, runtime in runtimes.items():
        try:
            outputs[key] = runtime.load(model)
        except Failure as failure:
            say(f"SKIPPED {model.name} in {runtime.title}: {failure}")
    if not outputs:
        return {}
    reference = outputs.get("onnxruntime") or next(iter(outputs.values()))
    return {key: difference(found, reference) for key, found in outputs.items()}


def difference(found, reference):
    """Largest absolute difference over the root mean square, of the worst output."""
    if [y.shape for y in found] != [y.shape for y in reference]:
        return float("inf")
    return max(
        float(np.abs(a - b).max() / (np.sqrt(np.mean(np.square(b, dtype=np.float64))) or 1.0))
        for a, b in zip(found, reference)
    )


def check(agreement, tolerance):
    """Stops when outputs differ by more than the tolerance, or are no numbers."""
    for name, differences in agreement.items():
        text = ", ".join(f"{key} {d:.1e}" for key, d in differences.items())
        say(f"{name}: differences {text}")
        if not all(d <= tolerance for d in differences.values()):
            fail(3, f"{name}: outputs differ by more than {tolerance:g} of their root mean square")


def measure(args, runtimes, subjects, agreement):
    """samples[model][runtime][round] = milliseconds of the runs, and the load average of each round.
    A runtime that fails on the way is left out of that model's samples."""
    samples = {m.name: {key: [] for key in agreement[m.name]} for m in subjects}
    loads = []
    for number in range(args.rounds):
        loads.append(os.getloadavg()[0])
        say(f"round {number + 1} of {args.rounds}, load {loads[-1]:.2f}")
        for model in subjects:
            for key in list(samples[model.name]):
                time.sleep(SETTLE)
                try:
                    times = runtimes[key].measure(model, args.warmup, args.runs)
                    samples[model.name][key].append(times)
                except Failure as failure:
                    say(f"SKIPPED {model.name} in {runtimes[key].title}: {failure}")
                    del samples[model.name][key]
    return samples, loads


def machine(cores):
    names = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    cpu = names[0].split(":", 1)[1].strip() if names else platform.processor()
    return {"cpu": cpu, "cpus": os.cpu_count(), "cores_in_use": cores, "system": platform.system()}


def read_models(paths, scratch):
    try:
        subjects = [models.read(path, scratch) for path in paths]
    except (OSError, ValueError) as error:
        fail(2, str(error))
    names = [m.name for m in subjects]
    if len(set(names)) != len(names):
        fail(2, f"two models have the same name: {sorted(names)}")
    return subjects


def session(args, scratch):
    """All of a measurement, as the JSON says it."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    subjects = read_models(args.models, scratch)
    runtimes = start(args)
    try:
        agreement = {m.name: load(runtimes, m) for m in subjects}
        if not any(agreement.values()):
            fail(1, "no runtime runs any of the models")
        check(agreement, args.tolerance)
        samples, loads = measure(args, runtimes, subjects, agreement)
    finally:
        for runtime in runtimes.values():
            runtime.close()
    settings = ("threads", "rounds", "runs", "warmup", "octrt_args")
    results = [
        {
            "model": m.name,
            "macs": m.macs,
            "differences": agreement[m.name],
            "summary": report.summary(samples[m.name]),
            "samples_ms": samples[m.name],
        }
        for m in subjects
    ]
    return {
        "schema": "octrt.peers/1",
        "date": date,
        "machine": machine(args.core)
        | {"peak_gflops": getattr(runtimes.get("octrt"), "peak_gflops", None)},
        "settings": {key: getattr(args, key) for key in settings},
        "titles": {key: runtime.title for key, runtime in runtimes.items()},
        "versions": {key: runtime.version for key, runtime in runtimes.items()},
        "load_average": loads,
        "results": results,
    }


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as scratch:
        found = session(args, scratch)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    versions = ", ".join(f"{found['titles'][key]} {v}" for key, v in found["versions"].items())
    print(f"{found['machine']['cpu']}, {args.threads} of {found['machine']['cpus']} cores; {versions}; "
          f"{args.rounds} rounds of {args.runs} runs; median (minimum) ms.\n")  # fmt: skip
    peak = found["machine"]["peak_gflops"]
    print(report.table(found["results"], found["titles"], peak and peak * args.threads))


if __name__ == "__main__":
    main()
