"""``differnet watch`` as a process: with a real model, killed, stopped, and with wrong arguments."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from differnet import DifferNet, Verdict, load_image
from tests.cameras.recordings import make_video
from tests.cli.test_commands import run
from tests.prepared import PreparedProcess
from tests.sinks.broker import Subscriber, broker
from tests.watching.receiver import receiver
from tests.watching.test_live import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such signals")


def photographs(product: Path) -> list[Path]:
    return sorted(product.rglob("*.png"))


class Process:
    """The command, running; what it says on stderr is kept."""

    def __init__(self, *arguments: object, env: dict[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._errors = Path(self._folder.name) / "stderr"
        self._errors.touch()
        self._said: str | None = None
        words = ["watch", *map(str, arguments)]
        self.process = PreparedProcess(words, os.environ | {"COLUMNS": "200"} | (env or {}), None, self._errors)

    @property
    def stderr(self) -> str:
        return self._said if self._said is not None else self._errors.read_text(encoding="utf-8")

    def until_says(self, words: str) -> None:
        until(lambda: words in self.stderr or self.process.poll() is not None, 60.0)
        assert words in self.stderr

    def end(self, number: int) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        assert "Traceback" not in self.stderr, self.stderr
        return code

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        self._said = self.stderr
        self._folder.cleanup()


@contextmanager
def watching(*arguments: object, env: dict[str, str] | None = None) -> Iterator[Process]:
    process = Process(*arguments, env=env)
    try:
        yield process
    finally:
        process.close()


def test_killed_twice_then_once_more_each_file_has_its_score(
    fitted: DifferNet, model_file: Path, product: Path, tmp_path: Path
) -> None:
    drop, out = tmp_path / "drop", tmp_path / "out.csv"
    drop.mkdir()
    rng = random.Random(1)
    images = photographs(product)
    waiting = iter(enumerate(images))
    for share in (len(images) // 2, len(images)):
        with watching(model_file, drop, "--csv", out, "--settle", 0.05) as process:
            process.until_says("watching")
            for i, image in waiting:
                (drop / f"{i:03}.png").write_bytes(image.read_bytes())
                if i + 1 == share:
                    break
            time.sleep(rng.uniform(0.0, 0.4))
            process.end(signal.SIGKILL)
    (drop / "broken.png").write_text("no image")
    done = run("watch", model_file, drop, "--csv", out, "--once", code=1)
    assert "broken.png: is not a PNG" in done.stderr
    assert done.stdout == ""
    with out.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [f"{i:03}.png" for i in range(len(images))]
    assert sorted(Path(row["path"]).name for row in rows) == [*names, "broken.png"]
    scores = {Path(row["path"]).name: float(row["score"]) for row in rows if not row["error"]}
    expected = [verdict.score for verdict in fitted.inspect_stream(images)]  # type: ignore[union-attr]
    assert [scores[name] for name in names] == pytest.approx(expected, rel=1e-4)


def test_live_with_a_webhook_and_a_model_that_breaks(model_file: Path, product: Path, tmp_path: Path) -> None:
    drop, model = tmp_path / "drop", tmp_path / "m.safetensors"
    drop.mkdir()
    model.write_bytes(model_file.read_bytes())
    images = photographs(product)[:6]
    with receiver(lambda index, body: 500 if index in (0, 3) else 200) as server:
        options = [model, drop, "--jsonl", tmp_path / "out.jsonl", "--webhook", server.url, "--settle", "0.1"]
        with watching(*options, env={"DIFFERNET_WEBHOOK_TOKEN": "word"}) as process:
            process.until_says("watching")
            for i, image in enumerate(images[:3]):
                (drop / f"{i}.png").write_bytes(image.read_bytes())
            until(lambda: len(server.names()) == 3)
            model.write_bytes(b"broken")
            process.until_says("stays in use")
            (drop / "text.png").write_text("no image")
            (drop / "4.png").write_bytes(images[4].read_bytes())
            until(lambda: len(server.names()) == 5)
            second = run("watch", *options, "--once", code=1)
            assert "in use by another 'differnet watch'" in second.stderr
            assert process.end(signal.SIGTERM) == 0
            assert "4 image(s) inspected, 1 could not be" in process.stderr
            assert "secret" not in process.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    delivered = [body for _, body, status in server.requests if status == 200]
    for body in delivered:
        assert body.pop("counts").keys() == {"accept", "review", "reject", "undecided", "failed"}
    assert sorted(delivered, key=str) == sorted(rows, key=str)
    assert len({headers["idempotency-key"] for headers, _, _ in server.requests}) == 5
    assert {headers["authorization"] for headers, _, _ in server.requests} == {"Bearer word"}


def test_two_queues_and_a_file_by_to(model_file: Path, product: Path, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.png").write_bytes(photographs(product)[0].read_bytes())
    (tmp_path / "drop" / "b.png").write_text("no image")
    with receiver(lambda index, body: 200) as server, broker(tmp_path) as running, Subscriber(running) as subscriber:
        to = [server.url, f"mqtt://127.0.0.1:{running.port}/line1", tmp_path / "out.jsonl"]
        options = [word for each in to for word in ("--to", each)]
        done = run("watch", model_file, tmp_path / "drop", *options, "--once", "--json", "-q", code=1)
        published = subscriber.rows()
    document = json.loads(done.stdout)
    assert (document["inspected"], document["failed"], document["undelivered"], document["left"]) == (1, 1, 0, [])
    assert "watching" not in done.stderr
    posted = [body for _, body, _ in server.requests]
    assert posted == published
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["sequence"] for row in rows] == [1, 2]
    assert rows == [{name: value for name, value in body.items() if name != "counts"} for body in posted]


def test_a_recording_has_the_verdicts_of_its_frames(model_file: Path, product: Path, tmp_path: Path) -> None:
    images = photographs(product)[:20]
    video = make_video(tmp_path / "line.mkv", [load_image(image) for image in images])
    to = [word for name in ("out.csv", "out.jsonl") for word in ("--to", tmp_path / name)]
    with watching(model_file, "--camera", video, *to, "--keep", tmp_path / "refused") as process:
        assert process.process.wait(60) == 0, process.stderr  # by itself, at the recording's end
    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == [f"{video}#{number:06}" for number in range(1, len(images) + 1)]
    expected = [*DifferNet.load(model_file, device="cpu").inspect_stream(images)]
    decisions = [verdict.decision for verdict in expected if isinstance(verdict, Verdict)]
    assert [row["decision"] for row in rows] == decisions
    scores = [verdict.score for verdict in expected if isinstance(verdict, Verdict)]
    assert [float(row["score"]) for row in rows] == pytest.approx(scores, rel=1e-6)
    kept = {f"{number:06}.png" for number, decision in enumerate(decisions, start=1) if decision != "accept"}
    assert {path.name for path in (tmp_path / "refused").iterdir()} == kept
    assert kept


def test_ctrl_c_and_a_webhook_alone(model_file: Path, product: Path, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "a.png").write_bytes(photographs(product)[0].read_bytes())
    env = {"XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    with watching(model_file, drop, "--webhook", "http://127.0.0.1:9/", "--poll", 0.1, env=env) as process:
        process.until_says("they wait and are tried again")
        assert process.end(signal.SIGINT) == 130
    assert "1 verdict(s) not delivered yet" in process.stderr
    assert list(tmp_path.rglob("watch-*.journal"))


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--csv", "-"],
        ["--csv", "same", "--jsonl", "same"],
        ["--csv", "a", "--journal", "a"],
        ["--csv", "a.csv", "--to", "a.csv"],
        ["--to", "mqtt://host", "--to", "mqtt://host"],
        ["--csv", "a", "--camera", "0"],
        ["--csv", "a", "--every", "1"],
        ["--csv", "a", "--views", "few"],
        ["--csv", "a", "--settle", "-1"],
    ],
)
def test_wrong_usage(tmp_path: Path, options: list[str]) -> None:
    run("watch", "m", tmp_path, *options, code=2)


def test_what_users_get_wrong(model_file: Path, tmp_path: Path) -> None:
    def error_of(*arguments: object) -> str:
        return run("watch", *arguments, "--once", code=1).stderr

    out = tmp_path / "out.csv"
    assert "nowhere: no such folder" in error_of(model_file, tmp_path / "nowhere", "--csv", out)
    assert "cannot be written" in error_of(model_file, tmp_path, "--csv", tmp_path / "no" / "out.csv")
    assert "is a folder" in error_of(model_file, tmp_path, "--csv", tmp_path)
    assert "not a web address" in error_of(model_file, tmp_path, "--csv", out, "--webhook", "example.com")
    assert "is written as a whole" in error_of(model_file, tmp_path, "--to", tmp_path / "out.parquet")
    (tmp_path / "old.csv").write_text("mine")
    assert "knows nothing of it" in error_of(model_file, tmp_path, "--csv", tmp_path / "old.csv")
    assert "no such model file" in error_of(tmp_path / "none", tmp_path, "--csv", out)
    assert "is no camera; give the index" in error_of(model_file, "--camera", "nowhere.avi", "--csv", out)
