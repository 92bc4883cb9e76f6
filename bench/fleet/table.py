"""The table of networks: `networks.txt`, one network a line."""

from dataclasses import dataclass, field
from pathlib import Path

FILE = Path(__file__).with_name("networks.txt")


@dataclass(frozen=True)
class Network:
    """A line of the table.

    `source` says which package it is from: `torchvision`, `torchvision-raw` (backbone and head without
    post-processing), `timm`, `ultralytics`, `smp`, `own` (the folder nets) or `wheel:PACKAGE`, an ONNX
    file inside a published package, whose stem follows `__` in the name. `options` are settings of the
    source; for a wheel they are the extents of its inputs.
    """

    name: str
    family: str
    source: str
    options: dict[str, str] = field(default_factory=dict)


def read(path=FILE):
    """All networks, in the file's order. Raises ValueError when a name is there twice."""
    networks = {}
    for line in Path(path).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, family, source, *options = line.split()
        if name in networks:
            raise ValueError(f"{path}: {name} is there twice")
        pairs = dict(option.split("=", 1) for option in options)
        networks[name] = Network(name, family, source, pairs)
    return list(networks.values())
