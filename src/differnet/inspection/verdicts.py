"""The verdicts on several images, as a sequence, a table and a data frame."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from differnet.errors import MissingExtraError
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.installing import install_command

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Verdicts"]

_SHOWN_ROWS = 20
_SHOWN = ("path", "score", "decision", "p_value")


class Verdicts(Sequence["Verdict | Failure"]):
    """What was said of images, in their order: a verdict each, or why there is none.

    Args:
        results: Verdicts and failures.
    """

    def __init__(self, results: Iterable[Verdict | Failure]) -> None:
        self._results = tuple(results)

    def __len__(self) -> int:
        return len(self._results)

    @overload
    def __getitem__(self, index: int) -> Verdict | Failure: ...

    @overload
    def __getitem__(self, index: slice) -> Verdicts: ...

    def __getitem__(self, index: int | slice) -> Verdict | Failure | Verdicts:
        return Verdicts(self._results[index]) if isinstance(index, slice) else self._results[index]

    @property
    def verdicts(self) -> list[Verdict]:
        """Those of images that could be used."""
        return [result for result in self._results if isinstance(result, Verdict)]

    @property
    def failures(self) -> list[Failure]:
        """Images that could not be used."""
        return [result for result in self._results if isinstance(result, Failure)]

    @property
    def scores(self) -> NDArray[np.float32]:
        """float32 (n,), in the order of the images; NaN where there is no verdict."""
        scores = [result.score if isinstance(result, Verdict) else np.nan for result in self._results]
        return np.array(scores, np.float32)

    @property
    def counts(self) -> dict[str, int]:
        """How many were accepted, sent to review, rejected, left undecided without a threshold, or failed."""
        return dict(Counter(_decision(result) for result in self._results))

    def to_dicts(self) -> list[dict[str, Any]]:
        """A record for each image, as `Verdict.to_dict` has it, and ``reason``: why there is no verdict."""
        empty = dict.fromkeys(Verdict.columns())
        return [
            {**empty, **result.to_dict(), "reason": result.reason if isinstance(result, Failure) else None}
            for result in self._results
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """A pandas data frame with a row for each image and the columns of `to_dicts`.

        Raises:
            MissingExtraError: If pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - an optional package
        except ModuleNotFoundError:
            raise MissingExtraError(f"Data frames need pandas. Run: {install_command('pandas')}") from None
        return pd.DataFrame(self.to_dicts(), columns=[*Verdict.columns(), "reason"])

    def __repr__(self) -> str:
        counted = ", ".join(f"{count} {decision}" for decision, count in self.counts.items())
        return f"Verdicts({len(self)} images{': ' if counted else ''}{counted})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _SHOWN)
        rows = "".join(_row(result) for result in self._results[:_SHOWN_ROWS])
        more = len(self) - _SHOWN_ROWS
        rest = f"<p>and {more} more</p>" if more > 0 else ""
        return f"<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>{rest}"


def _decision(result: Verdict | Failure) -> str:
    return "failed" if isinstance(result, Failure) else result.decision or "undecided"


def _row(result: Verdict | Failure) -> str:
    if isinstance(result, Failure):
        return f'<tr><td>{html.escape(result.source)}</td><td colspan="3">{html.escape(result.reason)}</td></tr>'
    p_value = "" if result.p_value is None else f"{result.p_value:.4f}"
    cells = (result.source, f"{result.score:.4f}", result.decision or "", p_value)
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
