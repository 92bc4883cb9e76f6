"""Statistics of interleaved measurements, and the table of them.

`samples` are the times of a model: for each runtime a list of rounds, each a list of milliseconds.
"""

from statistics import median

import numpy as np

RESAMPLES = 2000
SEED = 1


def flat(rounds):
    return [ms for one in rounds for ms in one]


def paired_ratio(times, base):
    """(median, low, high) of the ratios times / base, one of each round: its medians. low and high
    hold the median of the ratios with 95 % probability (percentile bootstrap over the rounds)."""
    ratios = np.array([median(t) / median(b) for t, b in zip(times, base, strict=True)])
    draws = np.random.default_rng(SEED).integers(len(ratios), size=(RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[draws], axis=1), (0.025, 0.975))
    return float(np.median(ratios)), float(low), float(high)


def summary(samples):
    """Median and minimum of each runtime; with octrt and a peer also octrt's ratios to the best peer
    by median and to the best by minimum."""
    times = {
        key: {"median_ms": median(flat(rounds)), "min_ms": min(flat(rounds))}
        for key, rounds in samples.items()
    }
    result = {"times": times}
    peers = [key for key in samples if key != "octrt"]
    if "octrt" in samples and peers:
        best = min(peers, key=lambda key: times[key]["median_ms"])
        fastest = min(peers, key=lambda key: times[key]["min_ms"])
        ratio, low, high = paired_ratio(samples["octrt"], samples[best])
        result["by_median"] = {"peer": best, "ratio": ratio, "low": low, "high": high}
        by_min = times["octrt"]["min_ms"] / times[fastest]["min_ms"]
        result["by_min"] = {"peer": fastest, "ratio": by_min}
    return result


def table(models, titles, peak_gflops):
    """Markdown. `models` are dicts with `model`, `macs` and `summary`; `titles` those of the runtimes
    by key; `peak_gflops` what the cores in use compute at most, or None."""
    compared = any("by_median" in m["summary"] for m in models)
    head = ["model", "GMACs"] + ["FMA limit"] * bool(peak_gflops) + list(titles.values())
    head += ["octrt / best peer: median [95 %]", "minimum"] * compared
    lines = [head, ["---"] * len(head)]
    for m in models:
        times = m["summary"]["times"]
        row = [m["model"], f"{m['macs'] / 1e9:.3f}"]
        if peak_gflops:
            row.append(f"{2 * m['macs'] / peak_gflops / 1e6:.1f}")
        best = min(t["median_ms"] for t in times.values()) if times else None
        row += [cell(times.get(key), best) for key in titles]
        if compared:
            row += ratios(m["summary"], titles)
        lines.append(row)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(time, best):
    if time is None:
        return "-"
    text = f"{time['median_ms']:.1f} ({time['min_ms']:.1f})"
    return f"**{text}**" if time["median_ms"] == best else text


def ratios(one, titles):
    if "by_median" not in one:
        return ["-", "-"]
    m, least = one["by_median"], one["by_min"]
    return [
        f"{m['ratio']:.2f} [{m['low']:.2f}, {m['high']:.2f}] {titles[m['peer']]}",
        f"{least['ratio']:.2f} {titles[least['peer']]}",
    ]
