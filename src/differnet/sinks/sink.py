"""What a sink is: where results go, one after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, ClassVar

from typing_extensions import Self

from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.sinks.rows import COLUMNS, ERROR, row_of

__all__ = ["Sink"]


class Sink(ABC):
    """Takes results, one at a time, in order. Used as a context manager: ``with open_sink(destination) as sink``.

    What holds of every sink:

    - Rows arrive in the order in which they were written, each once.
    - After the ``with``, whatever ended it, all that was written is at the destination. A sink that delivers or writes
      lines has each row there when `write` returns; one that writes a file whole (Parquet), at the end.
    - Closing twice does what closing once does.
    - What cannot be written raises `OutputError`, from the constructor, `write` or `close`, with a sentence that says
      what to do; a destination that is none raises `SettingsError` or `OutputError` from the constructor.

    A new kind is a class with a name, schemes or suffixes, a constructor and `write_row`, and a line in
    `differnet.sinks.SINKS` (or `differnet.sinks.SINKS.register` in a program of one's own). Its constructor is called
    with the destination, and by name with whatever options were given to `open_sink`.

    Attributes:
        name: By which it is registered.
        suffixes: What names of its files end with: ``.csv``.
        schemes: What its addresses begin with, before ``://``: ``https``.
        columns: Names of what is written of a result. A failure is left out where ``error`` is none of them.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    schemes: ClassVar[tuple[str, ...]] = ()
    columns: Collection[str] = tuple(COLUMNS)

    def write(self, result: Verdict | Failure, **about: Any) -> None:  # noqa: ANN401 - the values of columns
        """Write a verdict, or the failure in its place.

        Args:
            result: The verdict or failure.
            about: Values of further columns, or others for those of the result.

        Raises:
            OutputError: If it cannot be written.
        """
        if not isinstance(result, Failure) or ERROR in self.columns:
            self.write_row(row_of(result, **about))

    @abstractmethod
    def write_row(self, row: Mapping[str, Any]) -> None:
        """Write values by column; what is absent is None, what is no column of the sink is left out.

        Raises:
            OutputError: If it cannot be written.
        """

    def close(self) -> None:  # noqa: B027 - many have nothing to close
        """End; what was written is at the destination.

        Raises:
            OutputError: If it cannot be written.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
