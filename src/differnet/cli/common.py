"""What every command has, without each of them saying so: --quiet."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from differnet.cli.console import be_quiet

__all__ = ["with_quiet"]

_QUIET = inspect.Parameter(
    "quiet",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--quiet", "-q", help="Tell nothing on stderr but warnings and errors.")],
)


def with_quiet(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the option --quiet."""
    signature = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def run(*words: Any, quiet: bool = False, **options: Any) -> None:  # noqa: ANN401 - the command's own
        be_quiet(quiet)
        command(*words, **options)

    del run.__wrapped__  # or its signature would be taken
    parameters = [*signature.parameters.values(), _QUIET]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run
