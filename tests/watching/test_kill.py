"""Killed at any moment, the outputs end up with each file exactly once."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import threading
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from differnet.watching import FolderWatch, Journal, OutputFile, Recorder
from tests.prepared import CONTEXT
from tests.watching.conftest import QuickModel

FILES = 400
KILLS = 35

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")


class DeadlyFile(OutputFile):
    """Kills its process while the third line is appended, after so many of its bytes; None does not."""

    dies_after: int | None = None
    lines = 0

    def append(self, line: bytes) -> None:
        self.lines += 1
        if self.dies_after is not None and self.lines == 3:
            super().append(line[: self.dies_after])
            os.kill(os.getpid(), signal.SIGKILL)
        super().append(line)


def station(root: Path, once: bool, dies_after: int | None = None, which: int = 0) -> None:
    """What the process does: a watch with two outputs and a queue."""
    model = QuickModel()
    model.on_image = lambda content: time.sleep(0.001)
    with Journal(root / "journal") as journal:
        outputs = [DeadlyFile(root / "out.csv", "csv", journal), DeadlyFile(root / "out.jsonl", "jsonl", journal)]
        outputs[which].dies_after = dies_after
        recorder = Recorder(root / "drop", journal, outputs, queues={"webhook": lambda: None})
        watch = FolderWatch(root / "drop", model, journal, recorder, settle=0.01, poll=0.05)
        if once:
            watch.once()
        else:
            watch.run()


def start(*arguments: object) -> BaseProcess:
    process = CONTEXT.Process(target=station, args=arguments)  # which starts at once, with everything imported
    process.start()
    return process


def assert_complete(root: Path) -> None:
    """One more start, and each file of the folder is in the outputs once, and in the queue once."""
    last = start(root, True)
    last.join()
    assert last.exitcode == 0
    every = sorted(str(path) for path in (root / "drop").iterdir())
    with (root / "out.csv").open(newline="") as stream:
        as_csv = [row["path"] for row in csv.DictReader(stream)]
    as_json = [json.loads(line)["path"] for line in (root / "out.jsonl").read_text().splitlines()]
    assert sorted(as_csv) == every
    assert as_json == as_csv
    with Journal(root / "journal") as journal:
        assert journal.undelivered() == len(every)


@pytest.mark.parametrize("which", [0, 1], ids=["csv", "jsonl"])
@pytest.mark.parametrize("dies_after", [0, 1, 40, 10_000])
def test_killed_while_a_row_is_written(tmp_path: Path, drop: Path, which: int, dies_after: int) -> None:
    for i in range(6):
        (drop / f"{i}.png").write_bytes(b"%d" % i)
    process = start(tmp_path, True, dies_after, which)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert_complete(tmp_path)


def test_killed_again_and_again_while_files_come(tmp_path: Path, drop: Path) -> None:
    rng = random.Random(0)

    def camera() -> None:
        for i in range(FILES):
            (tmp_path / "next").write_bytes(b"%04d" % i)
            (tmp_path / "next").rename(drop / f"{i:04}.png")
            time.sleep(0.01)

    dropping = threading.Thread(target=camera)
    dropping.start()
    advanced = set()
    for _ in range(KILLS):
        process = start(tmp_path, False)
        time.sleep(rng.uniform(0.0, 0.25))
        process.kill()
        process.join()
        advanced.add((tmp_path / "out.jsonl").stat().st_size if (tmp_path / "out.jsonl").exists() else 0)
    dropping.join()
    assert len(advanced) > KILLS // 4  # else hardly any was killed at work
    assert_complete(tmp_path)
