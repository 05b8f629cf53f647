"""What holds of every sink, and of one that is added by a class and a registration."""

from __future__ import annotations

import contextlib
import csv
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from differnet import Failure, Verdict
from differnet.calibration import calibrate
from differnet.errors import MissingExtraError, OutputError, SettingsError
from differnet.inspection.verdict import give_verdict
from differnet.sinks import (
    SINKS,
    Answer,
    CsvSink,
    DeliveringSink,
    Delivery,
    ParquetSink,
    Sink,
    WebhookSink,
    find_sink,
    open_sink,
)
from differnet.sinks.rows import COLUMNS, columns_of, row_of
from tests.sinks.broker import Subscriber, broker
from tests.sinks.plc import Plc
from tests.watching.receiver import Receiver, receiver

ABOUT: dict[str, Any] = {"width": 640, "height": 480, "model_id": "0123456789ab", "milliseconds": 12.5}
VERDICT = give_verdict(1.5, calibrate([float(i) for i in range(40)], 0.1), source='a, "b".png', **ABOUT)
RAW = give_verdict(-0.25, None, source="caf\udce9.png", **ABOUT)
FAILURE = Failure("c.png", "it is empty; replace it.")
RESULTS: list[Verdict | Failure] = [VERDICT, FAILURE, RAW]


class ShelfSink(Sink):
    """Keeps rows in this process, on the shelf that its address names."""

    name = "shelf"
    schemes = ("shelf",)
    shelves: ClassVar[dict[str, list[dict[str, Any]]]] = {}

    def __init__(self, destination: str) -> None:
        self._shelf = self.shelves.setdefault(destination, [])

    def write_row(self, row: Mapping[str, Any]) -> None:
        self._shelf.append({column: row.get(column) for column in self.columns})


class PrinterSink(DeliveringSink):
    """Delivers to a printer that fails every other time."""

    name = "printer"
    schemes = ("printer",)
    attempts: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, destination: str, **options: Any) -> None:  # noqa: ANN401 - of DeliveringSink
        super().__init__("printer", **options)

    def deliver(self, body: bytes, key: str) -> Answer:
        self.attempts.append((key, json.loads(body)))
        return Answer(Delivery.FAILED if len(self.attempts) % 2 else Delivery.ARRIVED, "whirr")


@pytest.fixture(autouse=True)
def toys() -> Iterator[None]:
    for kind in (ShelfSink, PrinterSink):
        SINKS.register(kind)
    yield
    for kind in (ShelfSink, PrinterSink):
        del SINKS[kind.name]
    ShelfSink.shelves.clear()
    PrinterSink.attempts.clear()


Rows = Callable[[], list[dict[str, Any]]]


@contextmanager
def destination(kind: str, folder: Path) -> Iterator[tuple[str, Rows]]:
    """Somewhere to write to, and what gives the rows that are there."""
    if kind == "webhook":
        with receiver(lambda index, body: 500 if index == 1 else 200) as server:
            yield server.url, lambda: [body for _, body, answer in server.requests if answer == 200]
    elif kind == "mqtt":
        with broker(folder) as running, Subscriber(running) as subscriber:
            yield f"mqtt://127.0.0.1:{running.port}/line1", subscriber.rows
    elif kind == "opcua":
        with Plc(folder) as plc:
            yield f"{plc.address}?acknowledge=true", lambda: plc.rows
    elif kind == "printer":
        yield "printer://hall-3", lambda: [*dict(PrinterSink.attempts).values()]
    elif kind == "shelf":
        yield "shelf://top", lambda: ShelfSink.shelves["shelf://top"]
    else:
        file = folder / f"out.{kind}"
        read: dict[str, Rows] = {
            "csv": lambda: _csv_rows(file),
            "jsonl": lambda: [json.loads(line) for line in file.read_text().splitlines()],
            "parquet": lambda: pq.read_table(file).to_pylist(),
        }
        yield str(file), read[kind]


def _csv_rows(file: Path) -> list[dict[str, Any]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return [
            {name: COLUMNS[name](value) if value else None for name, value in row.items()}
            for row in csv.DictReader(stream)
        ]


def options(kind: str) -> dict[str, Any]:
    return {"first_wait": 0.01} if kind in {"webhook", "mqtt", "opcua", "printer"} else {}


KINDS = ["csv", "jsonl", "parquet", "webhook", "mqtt", "opcua", "shelf", "printer"]


def test_all_kinds_are_tested() -> None:
    assert list(SINKS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_results_arrive_in_order_each_once_with_the_same_columns(kind: str, tmp_path: Path) -> None:
    with destination(kind, tmp_path) as (where, rows):
        with open_sink(where, **options(kind)) as sink:
            for result in RESULTS:
                sink.write(result)
        sink.close()
        found = rows()
    assert [list(row) for row in found] == [list(COLUMNS)] * 3
    for row in found:  # what is no text is written with escapes
        row["path"] = row["path"].replace("\\udce9", "\udce9")
    assert found == [row_of(result) for result in RESULTS]


# A server of OPC UA takes seconds to begin and end; its own tests stop it too.
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "opcua"])
def test_what_was_written_is_there_whatever_ends_it(kind: str, tmp_path: Path) -> None:
    with destination(kind, tmp_path) as (where, rows):
        with pytest.raises(KeyboardInterrupt), open_sink(where, **options(kind)) as sink:
            sink.write(VERDICT)
            raise KeyboardInterrupt
        assert rows() == [row_of(VERDICT)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "webhook", "mqtt", "printer"])
def test_columns_can_be_chosen_and_without_error_failures_are_left_out(kind: str, tmp_path: Path) -> None:
    with destination(kind, tmp_path) as (where, rows):
        columns = {"camera": str, "path": str, "score": float}
        with open_sink(where, columns=columns, **options(kind)) as sink:
            sink.write(FAILURE, camera="left")
            sink.write(VERDICT, camera="left")
        found = rows() if kind != "csv" else [*csv.DictReader((tmp_path / "out.csv").read_text().splitlines())]
    assert [{**row, "score": float(row["score"])} for row in found] == [
        {"camera": "left", "path": VERDICT.source, "score": VERDICT.score}
    ]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_files_that_cannot_be_written_are_told_at_once(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"folder.{suffix}").mkdir()
    for path in (tmp_path / "none" / f"a.{suffix}", tmp_path / f"folder.{suffix}"):
        with pytest.raises(OutputError, match=r"; (choose|give)"):
            open_sink(path)


def test_a_destination_that_no_sink_takes() -> None:
    with pytest.raises(SettingsError, match=r"amqp://: results cannot be written there; choose one of \.csv,.*https:"):
        open_sink("amqp://user:secret@broker/topic")
    with pytest.raises(SettingsError, match=r"results\.xlsx: results cannot be written there"):
        open_sink("results.xlsx")
    assert find_sink(Path("A.CSV")) is CsvSink
    assert find_sink("HTTPS://host/a.csv") is WebhookSink


@pytest.mark.parametrize(
    "url",
    ["example.com", "ftp://example.com", "http://", "http://a:b@c/", "http://x:99999/", "http://a b/", "file:///x"],
)
def test_web_addresses_that_are_none(url: str) -> None:
    with pytest.raises(SettingsError, match=r"The webhook"):
        WebhookSink(url)


def test_a_webhook_repeats_with_the_same_key_and_gives_up_in_a_sentence() -> None:
    def failing(server: Receiver, *, patience: float) -> pytest.ExceptionInfo[OutputError]:
        with (
            pytest.raises(OutputError, match="webhook: 127") as told,
            open_sink(server.url, token="word", first_wait=0.01, patience=patience) as sink,
        ):
            sink.write(VERDICT)
        return told

    with receiver(lambda index, body: 503) as server:
        assert "cannot take verdicts (503" in str(failing(server, patience=0.1).value)
        assert len(server.requests) > 2
        assert len(server.keys(VERDICT.source)) == 1
        assert server.requests[0][0]["authorization"] == "Bearer word"
    with receiver(lambda index, body: 410) as server:
        told = failing(server, patience=10.0)
        assert "refused a verdict for good (410" in str(told.value)
        assert "secret" not in str(told.value)
        assert len(server.requests) == 1


def test_lines_are_there_as_soon_as_they_are_written(tmp_path: Path) -> None:
    for suffix, before in ((".csv", 1), (".jsonl", 0)):
        with open_sink(tmp_path / f"out{suffix}") as sink:
            sink.write(VERDICT)
            assert (tmp_path / f"out{suffix}").read_bytes().count(b"\n") == before + 1


def test_parquet_appears_whole_and_keeps_more_rows_than_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("differnet.sinks.parquet._ROWS_AT_ONCE", 2)
    file = tmp_path / "out.parquet"
    with ParquetSink(file) as sink:
        for i in range(5):
            sink.write(VERDICT, path=f"{i}.png")
        assert [*tmp_path.iterdir()] == []
    assert pq.read_table(file)["path"].to_pylist() == [f"{i}.png" for i in range(5)]


def test_without_pyarrow_parquet_is_refused_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        open_sink(tmp_path / "out.parquet")


def test_infinite_values_are_valid_json(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out.jsonl") as sink:
        sink.write(VERDICT, score=float("inf"), margin=float("nan"))
    row = json.loads((tmp_path / "out.jsonl").read_text(), parse_constant=pytest.fail)
    assert (row["score"], row["margin"], row["threshold"]) == (None, None, VERDICT.threshold)


def test_columns_are_those_of_a_verdict_with_their_types() -> None:
    assert tuple(COLUMNS) == (*Verdict.columns(), "error")
    assert COLUMNS["decision"] is str
    assert COLUMNS["threshold"] is float
    assert COLUMNS["views"] is int
    assert columns_of(Failure) == {"source": str, "reason": str}


def test_a_receiver_that_drips_is_left_in_time() -> None:
    def drip(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                connection.sendall(b"X-A: b\r\n")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        sink = WebhookSink(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.5)
        started = time.monotonic()
        answer = sink.deliver(b"{}", "key")
        assert time.monotonic() - started < 5
        assert (answer.delivery, answer.reason) == (Delivery.FAILED, "no answer in time")
