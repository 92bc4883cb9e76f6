"""What a configuration is, and the numbers that it is drawn with."""

from dataclasses import dataclass, field
from typing import Any, Callable, Sequence

import numpy as np

Outputs = Sequence[np.ndarray]

F32, F64, F16 = np.float32, np.float64, np.float16
SIGNED = (np.int8, np.int16, np.int32, np.int64)
UNSIGNED = (np.uint8, np.uint16, np.uint32, np.uint64)
INTEGERS = SIGNED + UNSIGNED

ONNX_RUNTIME = "ONNX Runtime"
# For what ONNX Runtime computes otherwise than the standard says.
REFERENCE = "onnx.reference"


@dataclass
class Config:
    """One node: inputs in order (None: omitted), outputs (False: omitted), attributes (None: omitted).

    Inputs at the positions in `constants` are initialisers of the model. `judge` computes the outputs. `stored` makes
    of the configuration and its outputs those that are stored, if they are others.
    """

    inputs: Sequence[np.ndarray | None]
    opset: int
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: Sequence[bool] = (True,)
    constants: Sequence[int] = ()
    domain: str = ""
    judge: str = ONNX_RUNTIME
    stored: Callable[["Config", Outputs], tuple["Config", Outputs]] | None = None


class Draw:
    """Random numbers; the same for the same seed."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = np.random.default_rng(seed)
        # Vectors and tiles have whole parts and rests in every tenth configuration.
        self.longest = (16, 17, 31, 64, 100) if number % 10 == 9 else ()

    def below(self, end: int) -> int:
        return int(self.rng.integers(end))

    def between(self, first: int, last: int) -> int:
        """An integer, `last` included."""
        return int(self.rng.integers(first, last + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, choices: Sequence[Any]) -> Any:
        return choices[self.below(len(choices))]

    def maybe(self, value: Any, probability: float = 0.5) -> Any:
        """`value` or None."""
        return value if self.chance(probability) else None

    def shape(self, rank: int, first: int = 1, last: int = 6) -> tuple[int, ...]:
        """Extents from `first` to `last`; data (windows are smaller) have a long one in every tenth configuration."""
        extents = [self.between(first, last) for _ in range(rank)]
        if self.longest and 0 < rank <= 3 and last >= 5:
            extents[self.below(rank)] = self.pick(self.longest)
        return tuple(extents)

    def sometimes_empty(self, shape: Sequence[int], number: int) -> tuple[int, ...]:
        """The shape; in every twelfth configuration without elements."""
        if not shape or number % 12 != 11:
            return tuple(shape)
        empty = self.below(len(shape))
        return tuple(0 if axis == empty else extent for axis, extent in enumerate(shape))

    def axis(self, rank: int) -> int:
        """An axis, counted from the front or the back."""
        return self.between(-rank, rank - 1)

    def floats(self, shape: Sequence[int] = (), scale: float = 1.0, dtype: Any = F32) -> np.ndarray:
        """Multiples of 1/64 of `scale` between -scale and scale, without zero."""
        steps = self.rng.integers(1, 65, shape) * self.rng.choice([-1, 1], shape)
        return np.asarray(steps * (scale / 64), dtype=dtype)

    def positive(self, shape: Sequence[int] = (), scale: float = 1.0, dtype: Any = F32) -> np.ndarray:
        return np.abs(self.floats(shape, scale, dtype))

    def ints(self, shape: Sequence[int], first: int, last: int, dtype: Any = np.int64) -> np.ndarray:
        """Integers, `last` included."""
        return np.asarray(self.rng.integers(first, last, shape, endpoint=True, dtype=dtype))

    def number(self, first: float, last: float) -> float:
        """A float that f32 holds exactly."""
        return float(np.float32(self.rng.uniform(first, last)))

    def values(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Small values of any element type."""
        if np.issubdtype(dtype, np.floating):
            return self.floats(shape, 2.0, dtype)
        if dtype == np.bool_:
            return np.asarray(self.rng.random(shape) < 0.5)
        return self.ints(shape, 0 if np.issubdtype(dtype, np.unsignedinteger) else -9, 9, dtype)

    def full_range(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """Integers of the whole range of a type."""
        info = np.iinfo(dtype)
        return self.ints(shape, info.min, info.max, dtype)

    def some(self, positions: Sequence[int]) -> list[int]:
        """None of the positions, all of them, or some."""
        return self.pick([[], list(positions), [p for p in positions if self.chance(0.5)]])


def vector(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def without_tail(inputs: Sequence[np.ndarray | None]) -> list[np.ndarray | None]:
    """The inputs up to the last that is given."""
    last = max(i for i, value in enumerate(inputs) if value is not None)
    return list(inputs[: last + 1])
