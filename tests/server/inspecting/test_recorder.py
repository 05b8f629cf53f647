"""What is recorded together does not depend on one another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from differnet.inspection.verdict import Verdict
from differnet.server.inspecting.jobs import Job, Upload
from differnet.server.inspecting.recorder import Recorder
from differnet.server.problems import Problem
from differnet.server.storage.database import Database
from differnet.server.storage.files import FileStore
from differnet.server.storage.records import Filter, Records

VERDICT = Verdict("a.png", 1.0, 2.0, -1.0, 0.5, "accept", 96, 96, "0" * 12, 1.0)


def job(number: int) -> Job:
    made = Job("plates", Upload(b"%d" % number, None), sha256=f"{number:064}", media_type="image/png")
    made.future.set_running_or_notify_cancel()
    return made


def test_a_verdict_that_cannot_be_recorded_spoils_no_other(database: Database, tmp_path: Path) -> None:
    records = Records(database)
    recorder = Recorder(records, FileStore(tmp_path / "files"))
    jobs = [job(number) for number in range(4)]
    for number, waiting in enumerate(jobs):
        bad = number == 2
        recorder.put(waiting, replace(VERDICT, score=None if bad else 1.0))  # type: ignore[arg-type]
    recorder.start()
    recorder.stop()
    for number, waiting in enumerate(jobs):
        if number == 2:
            with pytest.raises(Problem, match="could not be recorded"):
                waiting.future.result(0)
        else:
            assert records.get(waiting.future.result(0)["id"])["score"] == 1.0
    assert records.page(Filter(), limit=10).total == 3
