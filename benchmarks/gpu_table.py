"""The table of `benchmarks.gpu`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Row", "Share", "table"]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        what: Was measured.
        measured: The figure with its unit.
        share: Of the card's limits; empty where that says nothing.
    """

    what: str
    measured: str
    share: str = ""


@dataclass(frozen=True)
class Share:
    """Tells rates as shares of what the card can do.

    Attributes:
        operations: A second, of a float32 matrix product.
        traffic: Bytes a second, of a copy, read and written.
    """

    operations: float
    traffic: float

    def of(self, operations: float, traffic: float) -> str:
        """Say what share the rates are, of what is at least done and at least moved; 0 bytes are not told."""
        told = [f"{operations / 1e12:.3g} TFLOP/s, {operations / self.operations:.0%} of the product"]
        if traffic:
            told.append(f"{traffic / 1e12:.3g} TB/s, {traffic / self.traffic:.0%} of the copy")
        return "; ".join(told)


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| what | measured | of the limits |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.what} | {row.measured} | {row.share} |" for row in rows)])
