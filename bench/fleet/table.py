"""The tables of networks, one network a line: `networks.txt`, the fleet, and `more.txt`, others of its families."""

from dataclasses import dataclass, field
from pathlib import Path

FILES = tuple(Path(__file__).with_name(f"{name}.txt") for name in ("networks", "more"))


@dataclass(frozen=True)
class Network:
    """A line of a table.

    `source` says which package it is from: `torchvision`, `torchvision-raw` (backbone and head without
    post-processing), `timm`, `ultralytics`, `smp`, `own` (the folder nets) or `wheel:PACKAGE`, an ONNX
    file inside a published package, whose stem follows `__` in the name. `options` are settings of the
    source; for a wheel they are the extents of its inputs.
    """

    name: str
    family: str
    source: str
    options: dict[str, str] = field(default_factory=dict)


def read(*paths):
    """All networks of these files, in their order; of both tables where none is given. Raises ValueError
    when a name is there twice."""
    networks = {}
    for path in map(Path, paths or FILES):
        for line in path.read_text().splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            name, family, source, *options = line.split()
            if name in networks:
                raise ValueError(f"{path}: {name} is there twice")
            pairs = dict(option.split("=", 1) for option in options)
            networks[name] = Network(name, family, source, pairs)
    return list(networks.values())
