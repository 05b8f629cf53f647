"""What is written of a result: the fields of a verdict, or why there is none. Every list of columns is derived here."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict

__all__ = ["COLUMNS", "ERROR", "Columns", "columns_of", "row_of"]

Columns = Mapping[str, type]
"""Names of columns and what their values are: str, int or float; each may be None too."""

ERROR = "error"
"""The column that says why there is no verdict."""


def columns_of(kind: Any, names: Sequence[str] | None = None) -> dict[str, type]:  # noqa: ANN401 - a dataclass
    """The fields of a dataclass as columns of a table.

    Args:
        kind: A dataclass of texts, numbers and choices of texts (``Literal``), each of which may be None.
        names: What the columns are called, in the order of the fields; None takes the names of the fields.
    """
    hints = get_type_hints(kind)
    own = [field.name for field in fields(kind)]
    return {column: _plain(hints[name]) for column, name in zip(names or own, own, strict=True)}


def _plain(hint: Any) -> type:  # noqa: ANN401 - any annotation
    several = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    (kind,) = (each for each in several if each is not types.NoneType)
    return str if get_origin(kind) is Literal else kind


COLUMNS: Columns = columns_of(Verdict, Verdict.columns()) | {ERROR: str}
"""The fields of a verdict, and why there is none."""


def row_of(result: Verdict | Failure, **about: Any) -> dict[str, Any]:  # noqa: ANN401 - the values of columns
    """A result by columns; those of `COLUMNS` that it has no value for are None.

    Args:
        result: A verdict, or the failure in its place.
        about: Further columns, or other values for these.
    """
    if isinstance(result, Failure):
        found: Mapping[str, Any] = {"path": result.source, ERROR: result.reason}
    else:
        found = result.to_dict()
    return {**dict.fromkeys(COLUMNS), **found, **about}
