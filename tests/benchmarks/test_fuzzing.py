"""Mutations of each kind of file are read or refused, and what does otherwise is seen."""

from __future__ import annotations

import random
import socket
import threading
import time
from pathlib import Path

import pytest
from benchmarks.fuzzing import __main__ as command
from benchmarks.fuzzing.kinds import KINDS, Kind
from benchmarks.fuzzing.service import spoken

from differnet.errors import DifferNetError


@pytest.mark.parametrize("kind", ["image", "recipe", "list", "parquet", "journal", "weights"])
def test_a_short_round_is_clean(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.try_kind(kind, 60, 0, tmp_path) == 0
    assert f"{kind}" in capsys.readouterr().out
    assert len({KINDS[kind].mutate(random.Random(i)) for i in range(20)}) > 3


def test_a_round_may_end_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.try_kind("list", 1000, 0, tmp_path, minutes=0.0) == 0
    assert f"{command.BATCH} tried" in capsys.readouterr().out


def test_what_must_not_be_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> None:
        content = path.read_bytes()
        if content == b"0":
            raise DifferNetError("It is refused.")
        if content == b"1":
            raise KeyError("x")
        if content == b"2":
            import os

            os.abort()
        if content == b"3":
            while True:
                pass
        if content == b"4":
            bytes(b"x" * 150_000_000)

    monkeypatch.setattr(command, "MOST_SECONDS", 3)
    monkeypatch.setattr(command, "MOST_BYTES", 100 << 20)
    kind = Kind(".txt", lambda chance: b"", read)
    numbers = iter(range(100))
    object.__setattr__(kind, "mutate", lambda chance: str(next(numbers)).encode())
    outcomes = [outcome for outcome, _, _ in command._batch(kind, "seed", 6)]
    assert outcomes == ["refused", "traceback", "died", "hung", "memory", "read"]


def test_answers_that_must_not_be_are_seen() -> None:
    said: list[bytes | None] = [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 400 No\r\n\r\n",
        b"",
        b"HTTP/1.1 503 Busy\r\n\r\n",
    ]
    said += [b"HTTP/1.1 500 Failed\r\n\r\n", b"Traceback", None]  # the last is silent

    def serve(listener: socket.socket) -> None:
        for each in said:
            connection, _ = listener.accept()
            with connection:
                while connection.recv(65536):
                    pass
                if each is None:
                    time.sleep(1.0)
                else:
                    connection.sendall(each)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        port, whole = listener.getsockname()[1], [b"GET / HTTP/1.1\r\n\r\n"]
        found = [spoken(port, whole, random.Random(i), 0.5)[0] for i in range(len(said))]
    assert found == ["read", "refused", "refused", "refused", "failed", "failed", "hung"]
