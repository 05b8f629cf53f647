"""Verdicts delivered to a real HTTP server, which fails now and then."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from differnet.sinks import Answer, DeliveringSink, Delivery, WebhookSink
from differnet.watching import Journal, Photograph, Sender, Stamp
from tests.watching.receiver import receiver


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal") as opened:
        yield opened


def put(journal: Journal, *names: str) -> None:
    for name in names:
        photograph = Photograph(name, Stamp(1, 2, 3, 4), "abc", b"")
        bodies = dict.fromkeys(("webhook", "other"), json.dumps({"path": name}).encode())
        journal.record(photograph, photograph.key("model"), "now", lines={}, bodies=bodies, totals={})


def send(
    journal: Journal,
    url: str,
    *,
    patience: float = 10.0,
    first_wait: float = 0.01,
    timeout: float = 10.0,
    token: str = "",
) -> tuple[Sender, list[str]]:
    """Deliver what there is; returns what was told."""
    told: list[str] = []
    sender = Sender(
        WebhookSink(url, token=token, timeout=timeout),
        journal,
        "webhook",
        say=told.append,
        warn=told.append,
        first_wait=first_wait,
    )
    sender.start()
    sender.drain(patience)
    sender.close()
    return sender, told


def test_delivered_in_order_with_a_key_each(journal: Journal) -> None:
    put(journal, "a", "b", "c")
    with receiver(lambda index, body: 204 if index % 2 else 200) as server:
        sender, told = send(journal, server.url, token="word")
    assert [body["path"] for _, body, _ in server.requests] == ["a", "b", "c"]
    assert sender.delivered == 3
    assert told == []
    assert len(server.keys("a") | server.keys("b") | server.keys("c")) == 3
    headers = server.requests[0][0]
    assert headers["content-type"] == "application/json"
    assert headers["authorization"] == "Bearer word"
    assert journal.undelivered("webhook") == 0


@pytest.mark.parametrize("failure", [500, 503, 429, 408, 302, None])
def test_failures_are_tried_again_with_the_same_key(journal: Journal, failure: int | None) -> None:
    names = [f"{i}.png" for i in range(20)]
    put(journal, *names)
    with receiver(lambda index, body: failure if index % 3 == 1 else 200) as server:
        sender, told = send(journal, server.url)
    assert sorted(server.names()) == sorted(names)
    assert all(len(server.keys(name)) == 1 for name in names)
    assert sender.delivered == 20
    assert any("they wait and are tried again" in line for line in told)
    assert "takes verdicts again" in told[-1]
    assert not any("secret" in line for line in told)


def test_a_refused_one_is_told_kept_and_does_not_hold_up_the_others(journal: Journal) -> None:
    put(journal, "a", "bad", "c")
    with receiver(lambda index, body: 422 if body["path"] == "bad" else 200) as server:
        sender, told = send(journal, server.url)
        assert (sender.delivered, sender.refused) == (2, 1)
        assert "refused a verdict for good (422" in told[0]
        send(journal, server.url)
    assert len(server.requests) == 3
    assert journal._one("SELECT refused FROM deliveries WHERE queue = 'webhook'", ())[0].startswith("422")


def test_one_that_always_fails_does_not_hold_up_the_others(journal: Journal) -> None:
    put(journal, "poison", "b", "c", "d")
    with receiver(lambda index, body: 500 if body["path"] == "poison" else 200) as server:
        sender, _ = send(journal, server.url, patience=0.5)
    assert sender.delivered == 3
    assert journal.undelivered("webhook") == 1
    assert len(server.names(500)) < 12  # ever more seldom


def test_a_receiver_that_is_down_gets_all_once_it_is_up_also_from_the_next_process(journal: Journal) -> None:
    with receiver(lambda index, body: 200) as server:
        port, url = server.server_port, server.url
    put(journal, "a", "b")
    sender, told = send(journal, url, patience=0.3)
    assert sender.delivered == 0
    assert len(told) == 1  # not with every try
    assert "127.0.0.1 cannot take verdicts" in told[0]
    assert journal.undelivered("webhook") == 2
    with receiver(lambda index, body: 200, port) as server:
        began = time.monotonic()
        sender, _ = send(journal, url, first_wait=60.0)
        assert time.monotonic() - began < 5.0  # the waits of the earlier process do not count
    assert sorted(server.names()) == ["a", "b"]


def test_an_answer_that_does_not_come_in_time(journal: Journal) -> None:
    put(journal, "a")
    slow = threading.Event()

    def answers(index: int, body: dict[str, Any]) -> int:
        if index == 0:
            slow.wait(0.5)
        return 200

    with receiver(answers) as server:
        sender, told = send(journal, server.url, timeout=0.2)
        slow.set()
    assert sender.delivered == 1
    assert "no answer in time" in told[0]


def test_retry_after_is_kept_to(journal: Journal) -> None:
    put(journal, "a")
    times: list[float] = []

    def answers(index: int, body: dict[str, Any]) -> int:
        times.append(time.monotonic())
        return 429 if index == 0 else 200

    with receiver(answers) as server:
        server.retry_after = "1"
        send(journal, server.url)
    assert times[1] - times[0] >= 1.0


class Pigeons(DeliveringSink):
    """Every other one is lost."""

    def __init__(self) -> None:
        super().__init__("pigeons")
        self.sent: list[tuple[str, str]] = []

    def deliver(self, body: bytes, key: str) -> Answer:
        self.sent.append((json.loads(body)["path"], key))
        return Answer(Delivery.FAILED if len(self.sent) % 2 else Delivery.ARRIVED, "lost")


def test_any_sink_that_makes_attempts_delivers_what_the_journal_has(journal: Journal) -> None:
    put(journal, "a", "b", "c")
    told: list[str] = []
    pigeons = Pigeons()
    sender = Sender(pigeons, journal, "webhook", say=told.append, warn=told.append, first_wait=0.01)
    sender.start()
    sender.drain(10.0)
    sender.close()
    assert (sender.delivered, journal.undelivered("webhook")) == (3, 0)
    assert len(set(pigeons.sent)) == 3
    assert "pigeons cannot take verdicts (lost)" in told[0]


class Trains(Pigeons):
    """Go in order, and the first two are late."""

    ordered = True

    def deliver(self, body: bytes, key: str) -> Answer:
        super().deliver(body, key)
        return Answer(Delivery.FAILED if len(self.sent) < 3 else Delivery.ARRIVED, "late")


def test_of_an_ordered_sink_none_is_overtaken(journal: Journal) -> None:
    put(journal, "a", "b", "c")
    trains = Trains()
    sender = Sender(trains, journal, "other", first_wait=0.01)
    sender.start()
    sender.drain(10.0)
    sender.close()
    assert [path for path, _ in trains.sent] == ["a", "a", "a", "b", "c"]
    assert (journal.undelivered("other"), journal.undelivered("webhook")) == (0, 3)


def test_the_key_names_the_content_and_the_model() -> None:
    one = Photograph("a.png", Stamp(1, 2, 3, 4), "abc", b"")
    assert one.key("m") == Photograph("a.png", Stamp(1, 2, 30, 40), "abc", b"").key("m")
    others = [
        Photograph("b.png", one.stamp, "abc", b""),
        Photograph("a.png", one.stamp, "abd", b""),
        Photograph("a.png", Stamp(1, 9, 3, 4), "abc", b""),
    ]
    assert len({one.key("m"), one.key("n"), *(other.key("m") for other in others)}) == 5
