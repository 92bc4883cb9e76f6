"""Whether outputs are right: against ONNX Runtime's and, where a network amplifies rounding, by arbitration."""

from dataclasses import asdict, dataclass

import numpy as np

TOLERANCE = 1e-3  # largest error over root mean square
MARGIN = 2.0  # how many times ONNX Runtime's own error is as good as its error
NEAR = 0.05  # further from ONNX Runtime, outputs in double precision are not of the same computation


@dataclass
class Verdict:
    """`error` is the worst output's distance from ONNX Runtime, `by` what made it right: `tolerance`,
    `float64` (no further from the outputs in double precision than ONNX Runtime is) or `moves` (ONNX
    Runtime's own outputs move as much when its input changes by 1e-6); `why` says what is wrong."""

    right: bool
    error: float | None
    by: str = ""
    why: str = ""
    octrt_to_float64: float | None = None
    onnxruntime_to_float64: float | None = None
    onnxruntime_moves: float | None = None

    def record(self):
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


def distance(found, expected):
    """Largest difference over the root mean square of `expected`; of integers and booleans the share
    that differs. Infinite where shapes differ, or an infinity or NaN is in one of them only."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    if expected.dtype.kind not in "fc":
        return float(np.mean(found != expected))
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    finite = np.isfinite(expected)
    if not np.array_equal(found[~finite], expected[~finite], equal_nan=True) or not np.isfinite(found[finite]).all():
        return float("inf")
    if not finite.any():
        return 0.0
    scale = np.sqrt(np.mean(np.square(expected[finite])))
    return float(np.abs(found[finite] - expected[finite]).max() / (scale or 1.0))


def judge(found, expected, exact=None, moved=None):
    """The verdict on `found`, lists of arrays in the order of the model's outputs; `expected` are ONNX
    Runtime's, `exact` those in double precision and `moved` ONNX Runtime's on the changed input, or None."""
    if len(found) != len(expected):
        return Verdict(False, None, why=f"{len(found)} outputs instead of {len(expected)}")
    for i, (a, b) in enumerate(zip(found, expected)):
        if a.dtype != b.dtype:
            return Verdict(False, None, why=f"output {i} is {a.dtype} instead of {b.dtype}")
    errors = [distance(a, b) for a, b in zip(found, expected)]
    worst = max(errors, default=0.0)
    verdict = Verdict(False, worst)
    bounds = [TOLERANCE if b.dtype.kind in "fc" else 0.0 for b in expected]
    if all(error <= bound for error, bound in zip(errors, bounds)):
        verdict.right, verdict.by = True, "tolerance"
    suspects = [i for i, (error, bound) in enumerate(zip(errors, bounds)) if error > bound]
    arbitrate(verdict, suspects, errors, (found, expected, exact, moved))
    if not verdict.right:
        verdict.why = explain(suspects[0], found, expected, worst)
    return verdict


def arbitrate(verdict, suspects, errors, outputs):
    """Fills in the distances to `exact` and `moved`, and lets them decide on the suspects."""
    found, expected, exact, moved = outputs
    looked_at = suspects or range(len(errors))
    pardons = {}
    if exact is not None and len(exact) == len(expected):
        ours = {i: distance(found[i], exact[i]) for i in looked_at}
        theirs = {i: distance(expected[i], exact[i]) for i in looked_at}
        verdict.octrt_to_float64, verdict.onnxruntime_to_float64 = worst(ours), worst(theirs)
        pardons |= {i: "float64" for i in suspects if ours[i] <= MARGIN * theirs[i] and theirs[i] <= NEAR}
    if moved is not None:
        moves = {i: distance(moved[i], expected[i]) for i in looked_at}
        verdict.onnxruntime_moves = worst(moves)
        pardons |= {i: "moves" for i in suspects if i not in pardons and errors[i] <= MARGIN * moves[i] < float("inf")}
    if suspects and len(pardons) == len(suspects):
        verdict.right, verdict.by = True, "+".join(sorted(set(pardons.values())))


def worst(distances):
    """The largest finite distance, None where there is none."""
    return max((d for d in distances.values() if np.isfinite(d)), default=None)


def explain(i, found, expected, error):
    if found[i].shape != expected[i].shape:
        return f"output {i} is {list(found[i].shape)} instead of {list(expected[i].shape)}"
    if expected[i].dtype.kind not in "fc":
        return f"output {i}: {np.mean(found[i] != expected[i]):.2%} of its integers differ"
    return f"output {i} is off by {error:.1e}"
