"""What ONNX Runtime computes for a model, on its inputs and on inputs a little changed.

    python reference.py MODEL.onnx

Reads MODEL.inputs.npz; writes MODEL.ort.npz and, where a float is among the inputs, MODEL.moved.npz: the
outputs when every float input changes by 1e-6 of its root mean square, each output as the draw of several that
moves it most. Writes the operators to MODEL.facts.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import compare

SEED = 2
CHANGE = 1e-6
DRAWS = 4


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def changed(inputs, draw):
    generator = np.random.default_rng(SEED + draw)

    def near(x):
        if x.dtype.kind != "f":
            return x
        rms = np.sqrt(np.mean(np.square(x, dtype=np.float64)))
        return (x + CHANGE * rms * generator.standard_normal(x.shape)).astype(x.dtype)

    return {name: near(x) for name, x in inputs.items()}


def moved(runtime, inputs, outputs):
    """The outputs on changed inputs, each of the draw that is furthest from `outputs`."""
    draws = [runtime.run(None, changed(inputs, i)) for i in range(DRAWS)]
    return [max(found, key=lambda x: compare.distance(x, y)) for y, found in zip(outputs, zip(*draws))]


def operators(graph):
    """The operators of a graph and of the graphs in its nodes, as `Conv` or `com.microsoft.FusedConv`."""
    found = set()
    for node in graph.node:
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        found.add(domain + node.op_type)
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.HasField("g") else []
            for body in (*inner, *attribute.graphs):
                found |= operators(body)
    return found


def main():
    path = Path(sys.argv[1])
    model = onnx.load(path, load_external_data=False)
    found = operators(model.graph).union(*(operators(f) for f in model.functions))
    facts = {
        "operators": sorted(found),
        "nodes": len(model.graph.node),
        "opset": {o.domain or "ai.onnx": o.version for o in model.opset_import},
        "dynamic": [[v.name, axis] for v in model.graph.input
                    for axis, d in enumerate(v.type.tensor_type.shape.dim) if not d.dim_value],  # fmt: skip
        "outputs": [v.name for v in model.graph.output],
    }
    del model
    runtime, inputs = session(path), dict(np.load(path.with_suffix(".inputs.npz")))
    outputs = runtime.run(None, inputs)
    np.savez(path.with_suffix(".ort.npz"), *outputs)
    if any(x.dtype.kind == "f" and x.size for x in inputs.values()):
        np.savez(path.with_suffix(".moved.npz"), *moved(runtime, inputs, outputs))
    path.with_suffix(".facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
