"""Delivering verdicts by a sink, until the receiver has them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from differnet.errors import DifferNetError
from differnet.sinks import DeliveringSink, Delivery, pause_after
from differnet.watching.journal import Journal, QueuedDelivery

__all__ = ["Sender"]

_LONGEST_SLEEP = 300.0

_LONGEST_PAUSE = 60.0
"""Seconds for which a receiver that fails is left alone at most, unless it asks for more."""


class Sender:
    """Delivers what is queued in the journal, one after the other, in a thread of its own.

    A delivery that fails is tried again, later each time, also by the next process: it arrives at least once. It
    arrives twice if the answer to the first was lost; both have the same key. What the receiver refuses is recorded,
    told, and not tried again. Of an ordered sink none overtakes another; of the rest one that fails is overtaken.

    Args:
        sink: What delivers.
        journal: Has the queue.
        queue: The queue's name.
        say: Hears of what goes well again.
        warn: Hears of what goes wrong: of the first failure in a row, and of every refusal.
        crashed: Called if the thread ends since the journal fails.
        first_wait: Seconds before the second try of a delivery, doubled with every further one.

    Attributes:
        delivered: Number of deliveries that arrived.
        refused: Number of those that the receiver did not want.
    """

    def __init__(
        self,
        sink: DeliveringSink,
        journal: Journal,
        queue: str,
        *,
        say: Callable[[str], None] = lambda message: None,
        warn: Callable[[str], None] = lambda message: None,
        crashed: Callable[[DifferNetError], None] = lambda error: None,
        first_wait: float = 1.0,
    ) -> None:
        self.delivered = 0
        self.refused = 0
        self._sink = sink
        self._journal = journal
        self._queue = queue
        self._say = say
        self._warn = warn
        self._crashed = crashed
        self._first_wait = first_wait
        self._failures = 0  # in a row
        self._condition = threading.Condition()
        self._news = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"differnet-sender-{queue}", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._journal.restart_deliveries(self._queue)
        self._sink.resume(self._journal.totals())
        self._thread.start()

    def wake(self) -> None:
        """Tell that something was queued."""
        with self._condition:
            self._news = True
            self._condition.notify_all()

    def drain(self, patience: float, give_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until the queue is empty.

        Args:
            patience: Seconds without a delivery after which waiting ends.
            give_up: Ends it too.
        """
        seen, since = self.delivered + self.refused, time.monotonic()
        while self._thread.is_alive() and self._journal.undelivered(self._queue) and not give_up():
            time.sleep(0.05)
            if self.delivered + self.refused != seen:
                seen, since = self.delivered + self.refused, time.monotonic()
            elif time.monotonic() - since > patience:
                return

    def close(self) -> None:
        """Finish the delivery in hand; the others stay in the journal."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                delivery, due = self._journal.next_delivery(self._queue, time.monotonic(), ordered=self._sink.ordered)
                if delivery is None:
                    self._wait(due - time.monotonic(), for_news=True)
                else:
                    self._deliver(delivery)
        except DifferNetError as error:
            self._crashed(error)

    def _wait(self, seconds: float, *, for_news: bool) -> None:
        with self._condition:
            woken = lambda: self._stopping or (for_news and self._news)  # noqa: E731
            self._condition.wait_for(woken, min(seconds, _LONGEST_SLEEP))
            self._news = False

    def _deliver(self, delivery: QueuedDelivery) -> None:
        answer = self._sink.deliver(delivery.body, delivery.key)
        receiver, reason = self._sink.receiver, answer.reason
        if answer.delivery is Delivery.ARRIVED:
            self._journal.delivered(delivery)
            self.delivered += 1
            if self._failures:
                self._say(f"{receiver} takes verdicts again.")
            self._failures = 0
        elif answer.delivery is Delivery.REFUSED:
            self._journal.refuse(delivery, reason)
            self.refused += 1
            self._failures = 0
            self._warn(f"{receiver} refused a verdict for good ({reason}); it stays in the journal.")
        else:
            longest = self._sink.longest_wait
            wait = pause_after(delivery.attempts, first=self._first_wait, longest=longest)
            self._journal.postpone(delivery, time.monotonic() + wait)
            if not self._failures:
                self._warn(f"{receiver} cannot take verdicts ({reason}); they wait and are tried again.")
            # All others would meet the same, unless it lies with this one: hence not for long.
            pause = pause_after(self._failures, first=self._first_wait, longest=min(_LONGEST_PAUSE, longest))
            self._failures += 1
            self._wait(max(pause, min(answer.wait, longest)), for_news=False)
