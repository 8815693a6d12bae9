"""A small table of floats: rows in time, one column a series, NaN where a value is missing. Four bytes a value."""

from array import array
from collections.abc import Sequence
from typing import Final

NONE: Final = float("nan")


class Rows:
    """Rows of `width` values, oldest first."""

    __slots__ = ("data", "width")

    def __init__(self, width: int = 0, data: bytes = b"") -> None:
        self.width = width
        self.data = array("f")
        self.data.frombytes(data)

    def __len__(self) -> int:
        return len(self.data) // self.width if self.width else 0

    def add(self, row: Sequence[float]) -> None:
        """One row more."""
        self.data.extend(row)

    def column(self, index: int) -> list[float]:
        """The values of a series, without the missing ones."""
        return [value for value in self.data[index :: self.width] if value == value]  # noqa: PLR0124  # not NaN

    def whole(self, index: int) -> "array[float]":
        """A column with its holes."""
        return self.data[index :: self.width]

    def keep(self, count: int) -> None:
        """Forget all but the last rows."""
        del self.data[: -count * self.width or None]

    def clear(self) -> None:
        """Forget everything."""
        self.data = array("f")

    def widen(self, width: int) -> None:
        """Room for more series; they have no values so far."""
        if width > self.width:
            wider = array("f")
            for start in range(0, len(self.data), self.width or 1):
                wider.extend(self.data[start : start + self.width])
                wider.extend([NONE] * (width - self.width))
            self.data = wider
            self.width = width
