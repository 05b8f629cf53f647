"""``differnet score --to``: the sinks that Python has, chosen by suffix or scheme."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from differnet import Verdict
from differnet.sinks.rows import COLUMNS
from tests.cli.test_commands import good_images, run
from tests.watching.receiver import receiver


def test_verdicts_and_failures_arrive_everywhere(model_file: Path, product: Path, tmp_path: Path) -> None:
    images = good_images(product)[:2]
    (tmp_path / "broken.png").write_text("no image")
    files = [tmp_path / "out.parquet", tmp_path / "out.jsonl"]
    with receiver(lambda index, body: 503 if index == 0 else 200) as server:
        destinations = [word for each in (*files, server.url) for word in ("--to", each)]
        done = run(
            *("score", model_file, *images, tmp_path / "broken.png", *destinations, "--csv", tmp_path / "out.csv"),
            code=1,
            env={"DIFFERNET_WEBHOOK_TOKEN": "word"},
        )
        assert server.requests[0][0]["authorization"] == "Bearer word"
        posted = [body for _, body, answer in server.requests if answer == 200]
    assert done.stdout == ""
    assert [Path(body["path"]).name for body in posted] == [*(path.name for path in images), "broken.png"]
    assert [list(body) for body in posted] == [list(COLUMNS)] * 3
    assert "broken.png" in posted[2]["error"]
    assert pq.read_table(files[0]).to_pylist() == posted
    assert [json.loads(line) for line in files[1].read_text().splitlines()] == posted
    table = (tmp_path / "out.csv").read_text().splitlines()
    assert table[0] == ",".join(Verdict.columns())
    assert len(table) == 3, "files of --csv and --jsonl hold verdicts only"


def test_what_no_sink_takes_and_one_file_for_two(model_file: Path, product: Path, tmp_path: Path) -> None:
    image = good_images(product)[0]
    assert (
        "amqp://: results cannot be written there"
        in run("score", model_file, image, "--to", "amqp://b/", code=1).stderr
    )
    for option in ("--csv", "--to"):
        same = ["--to", tmp_path / "a.csv", option, tmp_path / "a.csv"]
        assert "files of their own" in " ".join(run("score", model_file, image, *same, code=2).stderr.split())
