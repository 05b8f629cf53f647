"""The command line as users run it: as a subprocess, judged by stdout, stderr and exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from tests.conftest import SMALL
from tests.prepared import run_prepared

DIFFERNET = [sys.executable, "-c", "from differnet.cli.main import run; run()"]
SETTINGS = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]


def run(*arguments: object, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code; a traceback is never acceptable.

    Where variables say what Python imports in a new interpreter, else in a process that has its imports behind it.
    """
    words, environment = [*map(str, arguments)], os.environ | {"COLUMNS": "200"} | (env or {})
    if "PYTHONPATH" not in (env or {}):
        done = run_prepared(words, environment)
    else:
        done = subprocess.run([*DIFFERNET, *words], capture_output=True, text=True, env=environment, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stderr
    return done


def good_images(product: Path) -> list[Path]:
    return sorted((product / "test" / "good").iterdir())


def test_train_then_evaluate_then_score(product: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    trained = json.loads(run("train", product, "-o", model, *SETTINGS, "--json").stdout)
    assert (trained["images"], trained["held_out_images"], trained["skipped"]) == (14, 10, [])

    scores = tmp_path / "scores.csv"
    evaluation = json.loads(run("evaluate", model, product, "--csv", scores, "--json").stdout)
    assert evaluation["image_auroc"] > 0.9
    assert (evaluation["n_good"], evaluation["n_defective"]) == (6, 8)
    assert evaluation["per_defect"].keys() == {"scratch", "blot"}
    low, high = evaluation["image_auroc_ci95"]
    assert low <= evaluation["image_auroc"] <= high
    rows = list(csv.DictReader(scores.open()))
    assert len(rows) == 14
    assert {row["kind"] for row in rows} == {"good", "scratch", "blot"}

    table = run("evaluate", model, product).stdout
    assert f"{evaluation['image_auroc']:.4f}" in table

    document = json.loads(run("score", model, product / "test", "--json").stdout)
    assert [row["path"] for row in document["images"]] == sorted(row["path"] for row in rows)
    by_path = {row["path"]: float(row["score"]) for row in rows}
    assert {row["path"]: row["score"] for row in document["images"]} == pytest.approx(by_path)


def test_score_writes_csv_json_lines_and_text_alike(model_file: Path, product: Path, tmp_path: Path) -> None:
    images = good_images(product)[:3]
    document = json.loads(run("score", model_file, *images, "--json").stdout)
    expected = {row["path"]: row["score"] for row in document["images"]}
    as_csv = run("score", model_file, *images, "--csv", "-", "--jsonl", tmp_path / "s.jsonl").stdout
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    text = [line.split("\t") for line in run("score", model_file, *images).stdout.splitlines()]
    assert [row["path"] for row in lines] == list(expected) == [columns[-1] for columns in text]
    assert {row["path"]: row["score"] for row in lines} == pytest.approx(expected)
    assert {row["path"]: float(row["score"]) for row in csv.DictReader(io.StringIO(as_csv))} == pytest.approx(expected)
    assert {columns[-1]: float(columns[0]) for columns in text} == pytest.approx(expected, rel=1e-5)
    assert [columns[1:-1] for columns in text] == [
        [row["decision"]] if row["decision"] else [] for row in document["images"]
    ]


def test_one_bad_image_is_reported_and_the_batch_goes_on(model_file: Path, product: Path, tmp_path: Path) -> None:
    good = good_images(product)[0]
    (tmp_path / "a.png").write_bytes(good.read_bytes())
    (tmp_path / "b_text.png").write_text("not an image")
    (tmp_path / "c_cut.jpg").write_bytes(good.read_bytes()[:200])
    (tmp_path / "d.png").write_bytes(good.read_bytes())
    (tmp_path / "notes.md").write_text("passed over")
    done = run("score", model_file, tmp_path, "--json", code=1)
    document = json.loads(done.stdout)
    assert [Path(row["path"]).name for row in document["images"]] == ["a.png", "d.png"]
    assert [Path(row["path"]).name for row in document["skipped"]] == ["b_text.png", "c_cut.jpg"]
    assert "b_text.png" in done.stderr
    assert "2 image(s) skipped" in done.stderr
    assert "1 not named as an image" in done.stderr


def test_info_shows_the_manifest(model_file: Path) -> None:
    document = json.loads(run("info", model_file, "--json").stdout)
    assert document["training"]["images"] == 14
    assert document["settings"]["flow"]["hidden"] == SMALL["flow.hidden"]
    assert "settings.flow.hidden" in run("info", model_file).stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_info_do_not_import_torch(model_file: Path, arguments: list[str]) -> None:
    for words in (arguments, ["info", str(model_file)]):
        program = (
            "import sys\nfrom differnet.cli.main import run\n"
            f"sys.argv = ['differnet', *{words!r}]\n"
            "try:\n    run()\nexcept SystemExit as left:\n    assert not left.code, left.code\n"
            "assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_import_official_gives_the_official_score(
    official_state_file: Path, official_image: Path, official_outputs: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    model = tmp_path / "official.safetensors"
    imported = json.loads(run("import-official", official_state_file, "-o", model, "--views", 8, "--json").stdout)
    assert (imported["hidden"], imported["views"]) == (32, 8)
    [row] = json.loads(run("score", model, official_image, "--json").stdout)["images"]
    assert row["score"] == pytest.approx(official_outputs["image0_score"].item(), rel=1e-3)


def test_doctor_and_weights_tell_what_is_there() -> None:
    report = json.loads(run("doctor", "--json").stdout)
    assert report["ok"]
    assert {"torch", "weights of efficientnet-lite0"} <= {check["name"] for check in report["checks"]}
    rows = json.loads(run("weights", "list", "--json").stdout)["weights"]
    assert [row["name"] for row in rows] == ["alexnet", "vgg16", "resnet18", "efficientnet-lite0"]
    fetched = json.loads(run("weights", "fetch", "alexnet", "--json").stdout)
    assert len(fetched["sha256"]) == 64


def test_the_paper_preset_trains_a_step_at_a_time(product: Path, tmp_path: Path) -> None:
    """Everything but the sizes is as published: fresh rotations, all images, the last epoch, the mean of 64 views."""
    small = ["--set", "views.size=128", "--set", "extractor.scales=2", "--set", "flow.hidden=32"]
    document = json.loads(
        run(
            "train", product, "-o", tmp_path / "m.safetensors", "--preset", "paper", "--epochs", 2, *small, "--json"
        ).stdout
    )
    assert (document["images"], document["held_out_images"], document["kept_epoch"]) == (24, 0, 2)
    run("score", tmp_path / "m.safetensors", good_images(product)[0])


class Terminal:
    """The command with a terminal as stderr, so that it shows its progress."""

    def __init__(self, *arguments: object) -> None:
        self._ours, theirs = os.openpty()
        self.process = subprocess.Popen(
            [*DIFFERNET, *map(str, arguments)],
            stderr=theirs,
            stdout=subprocess.DEVNULL,
            # A shell lets its background jobs ignore Ctrl-C, and what they start inherits that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs yet
        )
        os.close(theirs)
        self._deadline = threading.Timer(120, self.process.kill)
        self._deadline.start()
        self.text = ""

    def read_until(self, wanted: str | None) -> None:
        """Read until a text appears, or until the command has ended."""
        while wanted is None or wanted not in self.text:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # the other end is closed
                part = b""
            if not part:
                break
            self.text += part.decode(errors="replace")

    def interrupt(self) -> int:
        """Press Ctrl-C and wait for the exit code."""
        self.process.send_signal(signal.SIGINT)
        self.read_until(None)
        os.close(self._ours)
        self._deadline.cancel()
        return self.process.wait(timeout=60)


def test_progress_is_live_and_ctrl_c_keeps_the_best_state(product: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    # Far more epochs than will be done, and no end for want of a better one.
    endless = ["--epochs", "100000", "--set", "training.patience=0"]
    terminal = Terminal("train", product, "-o", model, *SETTINGS, *endless)
    terminal.read_until("held out")
    assert "loss" in terminal.text
    assert terminal.interrupt() == 130, terminal.text
    assert "training was interrupted" in terminal.text
    assert "Traceback" not in terminal.text
    assert json.loads(run("info", model, "--json").stdout)["training"]["interrupted"]
    run("score", model, good_images(product)[0])


def test_ctrl_c_before_anything_was_learnt_leaves_no_file(product: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    terminal = Terminal("train", product, "-o", model, "--set", "views.size=1024")
    terminal.read_until("features")
    assert terminal.interrupt() == 130, terminal.text
    assert "Traceback" not in terminal.text
    assert list(tmp_path.iterdir()) == []
