"""YAML that users write, and what is said where it cannot be read."""

from __future__ import annotations

from typing import Any

import yaml

from differnet.errors import DifferNetError

__all__ = ["load_yaml"]


def load_yaml(text: str, name: object, wrong: type[DifferNetError]) -> Any:  # noqa: ANN401 - whatever it says
    """Read the values of a YAML text, by tags of plain values alone.

    Args:
        text: The text.
        name: Of the file, for messages.
        wrong: The error to raise.

    Raises:
        DifferNetError: Of the kind `wrong`, if it is no YAML; the message names the line.
    """
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise wrong(f"{name}{where}: {problem}; look at quotes, colons and indentation there.") from None
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
        # Of tags whose value is of another kind, numbers without end, and nesting without end.
        raise wrong(f"{name}: has a value that cannot be read; write texts, numbers and lists alone.") from None
