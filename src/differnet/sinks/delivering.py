"""What a sink is that delivers over a network, where an attempt may fail and be repeated."""

from __future__ import annotations

import time
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from differnet.errors import OutputError
from differnet.sinks.cells import printable
from differnet.sinks.lines import as_json
from differnet.sinks.rows import COLUMNS
from differnet.sinks.sink import Sink

__all__ = ["Answer", "DeliveringSink", "Delivery", "in_words", "pause_after"]

_LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, unless the receiver asks for more."""
_LONGEST_REASON = 200


class Delivery(Enum):
    """What became of an attempt."""

    ARRIVED = "arrived"
    REFUSED = "refused"
    """The receiver does not want it, now or later."""
    FAILED = "failed"
    """It may arrive another time."""


@dataclass(frozen=True)
class Answer:
    """What a receiver said.

    Attributes:
        delivery: What became of the attempt.
        reason: The answer in words; of what came over the network, as much as can be read, and nothing that a terminal
            would obey.
        wait: Seconds for which the receiver asks to be left alone.
    """

    delivery: Delivery
    reason: str
    wait: float = 0.0

    def __post_init__(self) -> None:
        """Shorten what a receiver says."""
        object.__setattr__(self, "reason", printable(self.reason[:_LONGEST_REASON]))


class DeliveringSink(Sink):
    """A sink that is made of attempts: `write` repeats them, later each time, until the result has arrived.

    A result arrives at least once; it arrives twice if the answer to the first was lost, with the same key.
    ``differnet watch`` takes such sinks: it keeps the queue in its journal, and asks for one attempt at a time, so
    that results arrive at least once across restarts too. The commands give the constructor the address and ``token``,
    the secret or None.

    Args:
        receiver: What the receiver is called in messages; must not give away what is secret of its address.
        columns: What is delivered of a result.
        patience: Seconds for which a result is tried before `write` gives up.
        first_wait: Seconds before the second attempt, doubled with every further one.

    Attributes:
        receiver: See there.
        secret: The environment variable that the commands take the token from.
        ordered: Whether one that fails holds up those behind it; otherwise ``differnet watch`` lets them overtake it.
        longest_wait: Seconds after which ``differnet watch`` tries again at the latest.
    """

    secret: ClassVar[str] = "DIFFERNET_WEBHOOK_TOKEN"  # noqa: S105 - a name
    ordered: ClassVar[bool] = False
    longest_wait: ClassVar[float] = 300.0

    def __init__(
        self, receiver: str, *, columns: Iterable[str] = COLUMNS, patience: float = 60.0, first_wait: float = 1.0
    ) -> None:
        self.receiver = receiver
        self.columns = tuple(columns)
        self._patience = patience
        self._first_wait = first_wait

    @abstractmethod
    def deliver(self, body: bytes, key: str) -> Answer:
        """Try once; returns within the sink's time limit, and raises nothing.

        Args:
            body: A JSON object.
            key: Tells deliveries apart; the same for each attempt at one, so that the receiver can drop doubles.
        """

    def resume(self, counts: Mapping[str, int]) -> None:
        """Hear, before the first attempt, how many results of each outcome there were before, if somebody counts.

        Args:
            counts: By ``accept``, ``review``, ``reject``, ``undecided`` and ``failed``.
        """

    def write_row(self, row: Mapping[str, Any]) -> None:
        """Deliver a row.

        Raises:
            OutputError: If the receiver refuses it, or cannot take it for longer than the patience.
        """
        body, key = as_json({column: row.get(column) for column in self.columns}), uuid.uuid4().hex
        end, wait = time.monotonic() + self._patience, self._first_wait
        while (answer := self.deliver(body, key)).delivery is not Delivery.ARRIVED:
            if answer.delivery is Delivery.REFUSED:
                raise OutputError(f"{self.receiver} refused a verdict for good ({answer.reason}); check the address.")
            pause = max(wait, answer.wait)
            if time.monotonic() + pause > end:
                raise OutputError(f"{self.receiver} cannot take verdicts ({answer.reason}); try again later.")
            time.sleep(pause)
            wait = min(2.0 * wait, _LONGEST_PAUSE)


def pause_after(failures: int, *, first: float, longest: float) -> float:
    """Seconds before the next attempt.

    Args:
        failures: Attempts that failed before the last one, in a row.
        first: After one failure; doubled with every further one.
        longest: At most.
    """
    return min(first * 2.0 ** min(failures, 30), longest)


def in_words(error: object) -> str:
    """Why an attempt failed."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__) if error else "no connection"
