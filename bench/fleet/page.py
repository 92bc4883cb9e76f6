"""The page of a fleet: one row a network, in Markdown."""

from collections import Counter
from math import exp, log

COLUMNS = ("network", "family", "from", "right", "error", "/ ONNX Runtime", "/ OpenVINO", "what it needs, or why not")

INTRODUCTION = """# The fleet: networks people export

{counts}

{setting}

* **right**: the largest error over the root mean square of each output is at most 1e-3 against ONNX Runtime.
  `yes (float64)`: the network amplifies rounding, and octrt is at most twice as far from the outputs in double precision
  as ONNX Runtime is; `yes (moves)`: octrt is at most twice as far from ONNX Runtime as that moves when its input changes
  by 1e-6.
* **error**: that largest error; of outputs of integers the share that differs. In brackets, where the tolerance did not
  decide: ONNX Runtime's own distance from double precision, or how far it moves.
* **/ ONNX Runtime**, **/ OpenVINO**: octrt's time over theirs, one thread, turn by turn; below 1 octrt is faster.
* Weights are random, except those of `wheel` networks, which are published files.
"""


def page(head, records):
    """`head` is what the JSON says of the run, `records` those of its networks."""
    rows = [row(r) for r in sorted(records, key=lambda r: (r["family"], r["network"].lower()))]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in [COLUMNS, ["---"] * len(COLUMNS), *rows])
    return INTRODUCTION.format(counts=counts(records), setting=setting(head)) + "\n" + table + "\n"


def setting(head):
    versions = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    how = {"torchscript": "PyTorch's TorchScript exporter, opset 17", "dynamo": "PyTorch's dynamo exporter, opset 18"}
    shapes = ", batch, height and width dynamic, run at others than those of the export" if head["dynamic"] else ""
    return f"{head['date']}, {head['cpu']}, one thread; {versions}. Exported by {how[head['exporter']]}{shapes}."


def counts(records):
    """Of N exported networks so many run and are right, are wrong, are refused; the geometric mean."""
    states = Counter(r["state"] for r in records)
    exported = len(records) - states["not exported"]
    text = f"Of {exported} networks octrt runs {states['right']} right"
    text += "".join(f", {states[s]} {s}" for s in ("wrong", "refused", "failed", "timed out") if states[s])
    text += f"; {states['not exported']} more could not be exported." if states["not exported"] else "."
    for peer, title in (("onnxruntime", "ONNX Runtime"), ("openvino", "OpenVINO")):
        ratios = [r["timing"]["ratio"][peer] for r in records if peer in r.get("timing", {}).get("ratio", {})]
        if ratios:
            mean, faster = exp(sum(map(log, ratios)) / len(ratios)), sum(q < 1 for q in ratios)
            text += f" octrt / {title}: geometric mean {mean:.2f} over {len(ratios)}, faster on {faster}."
    return text


def row(r):
    ratio = r.get("timing", {}).get("ratio", {})
    times = [f"{ratio[peer]:.2f}" if peer in ratio else "" for peer in ("onnxruntime", "openvino")]
    by = r.get("verdict", {}).get("by", "tolerance")
    right = "yes" if by == "tolerance" else f"yes ({by})"
    return [
        r["network"], r["family"], r["source"].replace(":", " "),
        right if r["state"] == "right" else r["state"],
        off(r.get("verdict", {})), *times,
        needs(r).replace("|", "\\|").replace("\n", " "),
    ]  # fmt: skip


def off(verdict):
    """The error and, where it is beyond the tolerance, how far ONNX Runtime is from double precision, or moves."""
    error, by = verdict.get("error"), verdict.get("by", "")
    others = {"float64": "onnxruntime_to_float64", "moves": "onnxruntime_moves"}
    found = [verdict.get(field) for key, field in others.items() if key in by]
    noise = [f"{distance:.0e}" for distance in found if distance is not None]
    return "" if error is None else f"{error:.0e}" + (f" ({', '.join(noise)})" if noise else "")


def needs(r):
    if r.get("unsupported"):
        return "; ".join(r["unsupported"])
    if r["state"] == "wrong":
        return r["verdict"].get("why", "")
    return "" if r["state"] == "right" else r.get("message", "")[:200]
