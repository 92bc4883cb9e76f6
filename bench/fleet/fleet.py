#!/usr/bin/env python3
"""Exports the networks of networks.txt and more.txt one after the other and checks octrt on each against ONNX Runtime.

    python fleet.py --octrt PATH [--only NAME,NAME] [--family F] [--no-timing] [--json fleet.json]

For each network: export it (or take it from a wheel), run it in ONNX Runtime and in octrt, judge the outputs, time both
and OpenVINO, add a record to the JSON file, delete the files. A network with a record is not done again,
so that a run which was stopped goes on where it was; --again does it again. Beside the JSON file a page in
Markdown is written.

Exit codes: 0 every network that octrt ran is right, 1 some are wrong or failed, 2 usage.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import compare
import machine
import octrt
import page
import table

HERE = Path(__file__).parent
SCHEMA = "octrt.fleet/1"
PACKAGES = ("onnxruntime", "openvino", "torch", "torchvision", "timm", "ultralytics", "segmentation_models_pytorch")
ENVIRONMENT = {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_VERBOSE": "false"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--octrt", default="octrt", metavar="PATH", help="the program (%(default)s)")
    add("--only", default="", metavar="NAME,NAME", help="these networks only")
    add("--family", default="", metavar="F,F", help="the networks of these families only")
    add("--table", choices=("networks", "more", "all"), default="all", help="which table (%(default)s)")
    add("--json", type=Path, default=Path("fleet.json"), metavar="FILE", help="the records (%(default)s)")
    add("--page", type=Path, metavar="FILE", help="the page; FILE.md beside the JSON file if not given")
    add("--keep", type=Path, metavar="DIR", help="keep the exported models here, and take those that are there")
    add("--wheels", type=Path, metavar="DIR", help="keep downloaded wheels here")
    add("--dynamo", action="store_true", help="export with dynamo=True, opset 18")
    add("--dynamic", action="store_true", help="export with dynamic batch, height and width")
    add("--no-timing", dest="timing", action="store_false", help="check only")
    add("--again", action="store_true", help="also networks that have a record")
    add("--timeout", type=float, default=600, metavar="S", help="seconds for each step of a network (%(default)s)")
    add("--core", type=int, default=max(os.sched_getaffinity(0)), help="where times are taken (%(default)s)")
    args = parser.parse_args()
    args.exporter = "dynamo" if args.dynamo else "torchscript"
    args.page = args.page or args.json.with_suffix(".md")
    args.octrt = shutil.which(args.octrt) or parser.error(f"no program {args.octrt}")
    return args


def chosen(args):
    networks = table.read(*(f for f in table.FILES if args.table in (f.stem, "all")))
    known = {n.name for n in networks}, {n.family for n in networks}
    names, families = (set(filter(None, text.split(","))) for text in (args.only, args.family))
    for asked, there in zip((names, families), known):
        if asked - there:
            raise SystemExit(f"not in the table: {', '.join(sorted(asked - there))}")
    picked = [n for n in networks if (not names or n.name in names) and (not families or n.family in families)]
    return [n for n in picked if exportable(n, args)]


def exportable(network, args):
    """Whether it can be exported as asked: files of wheels are as they are, Ultralytics has an exporter of its own."""
    if network.source.startswith("wheel:"):
        return not (args.dynamo or args.dynamic)
    return not (args.dynamo and network.source == "ultralytics")


class Step(Exception):
    """A step of a network did not succeed; the text is its last words."""


def step(script, *arguments, timeout):
    """One of the scripts beside this one, in a process of its own: what it allocates goes with it."""
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    environment = os.environ | ENVIRONMENT
    try:
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=timeout, env=environment)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Step(f"{script} took longer than {timeout:g} s") from None
    if done.returncode:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        raise Step(lines[-1][:500] if lines else f"{script}: exit code {done.returncode}")


def prepare(network, folder, args):
    """The model, its inputs and ONNX Runtime's outputs in `folder`, where they are not there yet."""
    path = folder / f"{network.name}.onnx"
    if not (path.exists() and path.with_suffix(".inputs.npz").exists()):
        flags = ["--dynamo"] * args.dynamo + ["--dynamic"] * args.dynamic
        step("export.py", network.name, folder, "--wheels", args.wheels, *flags, timeout=args.timeout)
    if not path.with_suffix(".facts.json").exists():
        step("reference.py", path, timeout=args.timeout)
    return path


def arrays(file):
    """The arrays of an .npz file in order, None where there is no file."""
    if not file.exists():
        return None
    with np.load(file) as found:
        return [found[name] for name in found.files]


def inspect(network, path, scratch, args):
    """The record of a network whose files are there."""
    facts = json.loads(path.with_suffix(".facts.json").read_text())
    inputs = dict(np.load(path.with_suffix(".inputs.npz")))
    record = {"operators": facts["operators"], "nodes": facts["nodes"], "opset": facts["opset"]}
    state, outputs, message = octrt.run(args.octrt, path, inputs, scratch, args.timeout)
    if state != "ran":
        return record | {"state": state, "message": message[-2000:], "unsupported": octrt.unsupported(message)}
    exact, moved = arrays(path.with_suffix(".float64.npz")), arrays(path.with_suffix(".moved.npz"))
    verdict = compare.judge(outputs, arrays(path.with_suffix(".ort.npz")), exact, moved)
    record |= {"state": "right" if verdict.right else "wrong", "verdict": verdict.record()}
    if args.timing:
        record["timing"] = timed(path, inputs, facts, scratch, args)
    return record


def timed(path, inputs, facts, scratch, args):
    import timing

    files = {name: Path(scratch) / f"input_{i}.npy" for i, name in enumerate(inputs)}
    dims = shlex.join(octrt.dims(facts["dynamic"], inputs))
    return timing.measure(path, inputs, files, {"octrt": args.octrt, "dims": dims, "core": args.core})


def do(network, args):
    record = {"network": network.name, "family": network.family, "source": network.source}
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            path = prepare(network, folder.resolve(), args)
            record |= inspect(network, path, scratch, args)
        except Step as failure:
            record |= {"state": "not exported", "message": str(failure)}
    return record | {"seconds": round(time.monotonic() - started, 1)}


def head(args):
    about = machine.about(args.octrt, PACKAGES)
    return {"schema": SCHEMA, "exporter": args.exporter, "dynamic": args.dynamic} | about


def read(file):
    """The records of an earlier run by network; a run with other settings is another file's."""
    return {r["network"]: r for r in json.loads(file.read_text())["records"]} if file.exists() else {}


def save(file, text):
    """Whole or not at all: a stop at any time leaves the file before."""
    fresh = file.with_name(file.name + ".part")
    fresh.write_text(text)
    fresh.replace(file)


def line(number, total, record):
    verdict = record.get("verdict", {})
    error = f" {verdict['error']:.1e}" if verdict.get("error") is not None else ""
    ratio = record.get("timing", {}).get("ratio", {})
    times = "".join(f" {q:.2f}x {peer}" for peer, q in ratio.items())
    why = page.needs(record)
    text = f"[{number}/{total}] {record['network']}: {record['state']}{error} {verdict.get('by', '')}{times}"
    print(f"{text} {why[:160]} ({record['seconds']} s)", flush=True)


def main():
    args = arguments()
    records, networks, about = read(args.json), chosen(args), head(args)
    left = [n for n in networks if args.again or n.name not in records]
    print(f"{len(networks)} networks, {len(left)} to do", flush=True)
    with tempfile.TemporaryDirectory() as downloads:
        args.wheels = (args.wheels or Path(downloads)).resolve()
        for number, network in enumerate(left, 1):
            record = records[network.name] = do(network, args)
            line(number, len(left), record)
            save(args.json, json.dumps(about | {"records": list(records.values())}, indent=1) + "\n")
            save(args.page, page.page(about, records.values()))
    done = [records[n.name] for n in networks]
    print(page.counts(done))
    raise SystemExit(1 if any(r["state"] in ("wrong", "failed", "timed out") for r in done) else 0)


if __name__ == "__main__":
    main()
