"""Verdicts that the service sends on: each one, in order, across restarts, and what is told of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from differnet.cli.commands.serve_receivers import open_receivers
from differnet.errors import SettingsError
from differnet.server.storage.database import Database
from differnet.server.storage.outboxes import Outbox
from differnet.sinks import Answer, DeliveringSink, Delivery, MqttSink
from tests.server.conftest import MakeClient, photo
from tests.sinks.broker import Subscriber, broker

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "verdict.schema.json").read_text())


class Receiver(DeliveringSink):
    """Takes what it is told to take; where it fails it asks to be left alone for a day, which nobody does."""

    name = "receiver"
    longest_wait = 1.0

    def __init__(self) -> None:
        super().__init__(receiver="a receiver")
        self.answers: list[Delivery] = []
        self.took: list[tuple[dict[str, Any], str]] = []
        self.asked = 0

    def deliver(self, body: bytes, key: str) -> Answer:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else Delivery.ARRIVED
        if answer is Delivery.ARRIVED:
            self.took.append((json.loads(body), key))
        return Answer(answer, "as told", 86_400.0)

    @property
    def sequences(self) -> list[int]:
        return [body["sequence"] for body, _ in self.took]


def until(wanted: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < end
        time.sleep(0.02)


def inspect(client: TestClient, seed: int) -> dict[str, Any]:
    answer = client.post(f"/v1/models/plates/inspect?filename={seed}.png", content=photo(seed))
    found: dict[str, Any] = answer.json()["inspections"][0]
    return found


def test_each_verdict_once_in_order_and_with_counts_across_restarts(make_client: MakeClient) -> None:
    receiver, other = Receiver(), Receiver()
    before = make_client()
    inspect(before, 0)  # before anybody wanted to know
    before.__exit__(None, None, None)
    receivers = {"receiver": (None, receiver), "other/receiver": ("other", other)}
    client = make_client(receivers=receivers)
    receiver.answers = [Delivery.ARRIVED, Delivery.FAILED, Delivery.REFUSED]
    found = [inspect(client, seed) for seed in range(1, 4)]
    until(lambda: len(receiver.took) == 2)
    assert receiver.asked == 4
    assert [key for _, key in receiver.took] == [found[0]["id"], found[2]["id"]]
    assert receiver.sequences == [1, 3]
    body = receiver.took[1][0]
    assert {name: body[name] for name in ("path", "model", "score", "decision", "error")} == {
        "path": "3.png", "model": "plates", "score": found[2]["score"], "decision": found[2]["decision"], "error": None,
    }  # fmt: skip
    assert sum(body["counts"].values()) == 3
    jsonschema.validate(body, SCHEMA, jsonschema.Draft202012Validator)
    assert set(body) == set(SCHEMA["properties"])
    told = {each["name"]: each for each in client.get("/v1/receivers").json()["receivers"]}
    assert (told["receiver"]["delivered"], told["receiver"]["refused"], told["receiver"]["waiting"]) == (2, 1, 0)
    assert (told["other/receiver"]["model"], other.took, told["other/receiver"]["waiting"]) == ("other", [], 0)
    assert "differnet_undelivered_verdicts 0.0" in client.get("/metrics").text

    receiver.answers = [Delivery.FAILED] * 99
    inspect(client, 4)
    until(lambda: client.get("/v1/receivers").json()["receivers"][0]["trouble"] == "as told")
    assert client.get("/v1/receivers").json()["receivers"][0]["waiting"] == 1
    client.__exit__(None, None, None)
    receiver.answers = []
    client = make_client(receivers=receivers)
    inspect(client, 5)
    until(lambda: len(receiver.took) == 4)
    assert receiver.sequences == [1, 3, 4, 5]
    assert sum(receiver.took[-1][0]["counts"].values()) == 5


def test_to_a_real_broker_that_is_killed_meanwhile(make_client: MakeClient, tmp_path: Path) -> None:
    with broker(tmp_path) as running, Subscriber(running) as subscriber:
        sink = MqttSink(f"mqtt://127.0.0.1:{running.port}/line1", timeout=2.0)
        client = make_client(receivers={"mqtt": (None, sink)})
        for seed in range(20):
            inspect(client, seed)
            if seed == 5:
                running.kill()
        running.start()
        until(lambda: {body["sequence"] for body in subscriber.bodies()} == set(range(1, 21)))
        sequences = [body["sequence"] for body in subscriber.bodies()]
        assert sequences == sorted(sequences)
        client.__exit__(None, None, None)
        sink.close()


def test_numbers_that_another_service_has_yet_to_use_are_waited_for(
    database: Database, make_client: MakeClient
) -> None:
    outbox = Outbox(database, "receiver")
    assert outbox.open() == {"accept": 0, "review": 0, "reject": 0, "undecided": 0}
    client = make_client(database)
    first, second = inspect(client, 0), inspect(client, 1)
    assert [row["id"] for row in outbox.next(5)] == [first["id"], second["id"]]
    assert [row["id"] for row in outbox.next(1)] == [first["id"]]
    outbox.advance(outbox.next(1)[0]["seq"] - 1, {"accept": 7})
    assert outbox.open()["accept"] == 7
    outbox.advance(outbox.next(1)[0]["seq"] - 2, {})
    assert outbox.next(5) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("rows.csv", "http"),
        ("=mqtt://broker", "MODEL=ADDRESS"),
        ("bottle=rows.csv", "MODEL=ADDRESS"),
        ("http://user:secret@host/", "no password"),
    ],
)
def test_addresses_that_are_none(given: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error, open_receivers([given]):
        pass
    assert "secret" not in str(error.value)


def test_queues_are_named_by_kind_and_model() -> None:
    given = ["http://127.0.0.1:1/a", "bottle=http://127.0.0.1:1/b?x=y", "http://127.0.0.1:1/c"]
    with open_receivers(given) as found:
        assert {name: model for name, (model, _) in found.items()} == {
            "webhook": None, "bottle/webhook-2": "bottle", "webhook-3": None,
        }  # fmt: skip
