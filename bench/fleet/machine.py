"""What a run says of itself: date, processor, versions."""

import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import octrt


def about(program, packages):
    """`date`, `cpu` and `versions` of octrt and of those packages that are installed."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    versions = {"octrt": octrt.version(program)}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": names[0] if names else platform.processor(),
        "versions": versions,
    }
