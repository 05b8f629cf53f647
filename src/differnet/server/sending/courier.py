"""Brings verdicts to a receiver, until it has them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from differnet.server.problems import Problem
from differnet.server.storage.database import VERDICT_COLUMNS
from differnet.server.storage.outboxes import OUTCOMES, Outbox
from differnet.server.storage.records import Row
from differnet.sinks import DeliveringSink, Delivery, pause_after
from differnet.sinks.lines import as_json

__all__ = ["Courier"]

_log = logging.getLogger(__name__)

_AT_ONCE = 64
# Between two notes of how far it is; a process that is killed tells what came after the last one again.
_NOTED_SECONDS = 1.0
# Another service on the same database does not say when it has recorded something.
_LOOK_SECONDS = 2.0
_LONGEST_PAUSE = 60.0
_END_SECONDS = 15.0


class Courier:
    """Delivers what was inspected by a sink, one after the other, in a thread of its own.

    An attempt that fails is repeated, later each time, also by the next process: each verdict arrives at least once, in
    order, and with the same key and ``sequence`` if it arrives twice. What the receiver refuses is told in the log, and
    not tried again.

    Args:
        name: Of the queue.
        model: Whose verdicts they are; None for all.
        sink: What delivers.
        outbox: What there is to deliver.
        first_wait: Seconds before the second attempt, doubled with every further one.

    Attributes:
        delivered: Verdicts that arrived since the start.
        refused: Those that the receiver did not want.
        trouble: Why it cannot take verdicts now; None if it can.
    """

    def __init__(
        self, name: str, model: str | None, sink: DeliveringSink, outbox: Outbox, *, first_wait: float = 1.0
    ) -> None:
        self.name, self.model = name, model
        self.delivered = 0
        self.refused = 0
        self.trouble: str | None = None
        self._sink, self._outbox, self._first_wait = sink, outbox, first_wait
        self._counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        self._failures = 0  # in a row
        self._pause = first_wait
        self._condition = threading.Condition()
        self._news = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"courier-{name}", daemon=True)

    @property
    def receiver(self) -> str:
        """What it is called, without what is secret of its address."""
        return self._sink.receiver

    @property
    def waiting(self) -> int:
        """Verdicts that have yet to be delivered."""
        return self._outbox.waiting()

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._counts = self._outbox.open()
        self._sink.resume({**self._counts, "failed": 0})
        self._thread.start()

    def wake(self) -> None:
        """Tell that something was recorded."""
        with self._condition:
            self._news = True
            self._condition.notify_all()

    def stop(self) -> None:
        """Finish the delivery in hand."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            try:
                rows = self._outbox.next(_AT_ONCE)
                if rows:
                    self._deliver_all(rows)
                else:
                    self.trouble = None
                    self._wait(_LOOK_SECONDS, for_news=True)
            except Problem as problem:  # the database cannot be reached, which its log says
                self.trouble = problem.detail
                self._wait(_LOOK_SECONDS, for_news=False)
            except Exception:  # verdicts to come must be delivered, whatever it is
                _log.exception("verdicts could not be delivered", extra={"receiver": self.receiver})
                self._wait(_LONGEST_PAUSE, for_news=False)

    def _deliver_all(self, rows: list[Row]) -> None:
        counts, noted, last = self._counts, time.monotonic(), None
        failed = False
        try:
            for row in rows:
                if self._stopping:
                    break
                if self._outbox.wants(row):
                    outcome = row["decision"] or OUTCOMES[-1]
                    counted = {**counts, outcome: counts[outcome] + 1}
                    if not self._deliver(as_json(_document(row, counted)), str(row["id"])):
                        failed = True
                        break
                    counts = counted
                last = int(row["seq"])
                if time.monotonic() - noted > _NOTED_SECONDS:
                    self._note(last, counts)
                    noted, last = time.monotonic(), None
        finally:
            if last is not None:
                self._note(last, counts)
        if failed:
            self._wait(self._pause, for_news=False)

    def _note(self, seq: int, counts: dict[str, int]) -> None:
        self._outbox.advance(seq, counts)
        self._counts = counts

    def _deliver(self, body: bytes, key: str) -> bool:
        """Try once; whether it is dealt with."""
        answer = self._sink.deliver(body, key)
        about = {"receiver": self.receiver, "reason": answer.reason}
        if answer.delivery is Delivery.FAILED:
            if self.trouble is None:
                _log.warning("a receiver cannot take verdicts; they wait and are tried again", extra=about)
            self.trouble = answer.reason
            longest = self._sink.longest_wait
            pause = pause_after(self._failures, first=self._first_wait, longest=min(_LONGEST_PAUSE, longest))
            self._pause = max(pause, min(answer.wait, longest))
            self._failures += 1
            return False
        if answer.delivery is Delivery.REFUSED:
            self.refused += 1
            _log.warning("a receiver refused a verdict for good", extra={**about, "inspection": key})
        else:
            self.delivered += 1
            if self.trouble is not None:
                _log.info("a receiver takes verdicts again", extra=about)
        self.trouble, self._failures = None, 0
        return True

    def _wait(self, seconds: float, *, for_news: bool) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._stopping or (for_news and self._news), seconds)
            self._news = False


def _document(row: Row, counts: Mapping[str, int]) -> dict[str, Any]:
    """As `differnet watch` delivers it, with the inspection's id and the model's name."""
    return {
        "path": row["filename"] or row["id"],
        **{name: row[name] for name in VERDICT_COLUMNS},
        "error": None,
        "inspected_at": row["created"].isoformat(timespec="milliseconds"),
        "sequence": sum(counts.values()),
        "counts": {**counts, "failed": 0},
        "id": row["id"],
        "model": row["model"],
    }
