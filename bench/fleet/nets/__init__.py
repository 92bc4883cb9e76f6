"""Networks of families that torchvision, timm and Ultralytics lack, small and with random weights.

`REG`: name -> function that returns (module, example input or tuple of them).
"""

from . import faces, generators, misc, segmentation, sequences, superres, volumes
from .blocks import REG

__all__ = ["REG", "faces", "generators", "misc", "segmentation", "sequences", "superres", "volumes"]
