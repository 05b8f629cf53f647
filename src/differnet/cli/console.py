"""What the commands share: messages, progress bars, JSON, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from differnet.errors import DifferNetError

if TYPE_CHECKING:
    from rich.console import Console

    from differnet.images.failure import Failure

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "be_quiet",
    "fail_if_skipped",
    "is_quiet",
    "print_json",
    "print_line",
    "say",
    "warn",
]

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@cache
def error_console() -> Console:
    # Imported on first use: --help needs none of it, and would take three times as long.
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False, soft_wrap=True)


_quiet = [False]


def be_quiet(wanted: bool) -> bool:
    """Have `say` and progress be silent from now on, if wanted; warnings and errors are told all the same."""
    _quiet[0] = _quiet[0] or wanted
    return wanted


def is_quiet() -> bool:
    """Whether nothing but warnings and errors is told on stderr."""
    return _quiet[0]


def say(message: str) -> None:
    """Tell something on stderr, unless that is to be quiet."""
    if is_quiet():
        return
    error_console().print(_shown(message), markup=False)


def warn(message: str) -> None:
    """Warn on stderr."""
    error_console().print(f"warning: {_shown(message)}", markup=False, style="yellow")


def print_line(*columns: str) -> None:
    """Print a line on stdout, its columns between tabs; file names cannot break it or command the terminal."""
    from differnet.sinks.cells import printable  # noqa: PLC0415

    sys.stdout.write("\t".join(map(printable, columns)) + "\n")


def _shown(message: str) -> str:
    from differnet.sinks.cells import printable  # noqa: PLC0415

    return "\n".join(map(printable, message.split("\n")))


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def fail_if_skipped(failures: Sequence[Failure]) -> None:
    """End with exit code 1 if images were skipped; each is named, with its reason."""
    for failure in failures:
        warn(str(failure))
    if failures:
        say(f"{len(failures)} image(s) skipped.")
        raise typer.Exit(EXIT_FAILED)


def exit_with_error(error: DifferNetError) -> int:
    """Print an error that the user can mend; returns the exit code."""
    error_console().print(f"error: {_shown(str(error))}", markup=False, style="red")
    return EXIT_FAILED
