"""differnet-inspect, in this process and in a clean environment without torch."""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from differnet import DifferNet, Verdict
from differnet_runtime.cli import main
from differnet_runtime.errors import DatasetError, OutputError
from tests.export.files import Exported, inspected

RUNTIME = Path(__file__).parents[2] / "runtime"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(inspected()):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def test_csv_jsonl_and_lines(plain: Exported, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, lines = tmp_path / "out.csv", tmp_path / "out.jsonl"
    assert main([str(plain.onnx), str(images), "--csv", str(table), "--jsonl", str(lines)]) == 0
    with table.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == Verdict.columns()
    assert [Path(row["path"]).name for row in rows] == [f"{i}.png" for i in range(len(inspected()))]
    assert [json.loads(line)["decision"] for line in lines.read_text().splitlines()] == [r["decision"] for r in rows]
    capsys.readouterr()
    assert main([str(plain.onnx), str(images)]) == 0
    printed = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(decision, path) for _, decision, path in printed] == [(row["decision"], row["path"]) for row in rows]


def test_images_that_cannot_be_read_are_named_and_the_rest_is_done(
    plain: Exported, images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "broken.png").write_bytes(b"not an image")
    assert main([str(plain.onnx), str(images), "--json"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert len(document["images"]) == len(inspected())
    assert [Path(skipped["path"]).name for skipped in document["skipped"]] == ["broken.png"]
    assert "broken.png" in captured.err


def test_what_cannot_be_done_is_told(plain: Exported, images: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        main([str(plain.onnx), str(tmp_path / "none")])
    with pytest.raises(OutputError, match="writable folder"):
        main([str(plain.onnx), str(images), "--csv", str(tmp_path / "none" / "out.csv")])
    for wrong in (["--json", "--csv", "-"], ["--threads", "0"]):
        with pytest.raises(SystemExit) as ended:
            main([str(plain.onnx), str(images), *wrong])
        assert ended.value.code == 2


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that holds nothing but what ``pip install ./runtime`` puts there."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    installed = run(*pip, RUNTIME)
    if installed.returncode != 0 and "No matching distribution" in installed.stderr + installed.stdout:
        pytest.skip("no package index is reachable")
    assert installed.returncode == 0, installed.stderr
    return folder / "bin"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    # What a developer's shell adds to every interpreter is not of the clean environment.
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, env=clean)


def test_in_a_clean_environment_there_is_no_torch_and_verdicts_are_the_same(
    environment: Path, plain: Exported, images: Path
) -> None:
    for absent in ("torch", "differnet", "PIL"):
        failed = run(environment / "python", "-c", f"import {absent}")
        assert failed.returncode == 1
        assert "ModuleNotFoundError" in failed.stderr
    done = run(environment / "differnet-inspect", plain.onnx, images, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    rows = json.loads(done.stdout)["images"]
    model = DifferNet.load(plain.model, device="cpu")
    expected = [
        result
        for result in model.inspect_stream([row["path"] for row in rows], all_views=True)
        if isinstance(result, Verdict)
    ]
    assert [row["decision"] for row in rows] == [verdict.decision for verdict in expected]
    assert [row["p_value"] for row in rows] == pytest.approx([verdict.p_value for verdict in expected], rel=1e-4)
    assert [row["score"] for row in rows] == pytest.approx([verdict.score for verdict in expected], rel=1e-4)


def test_the_first_verdict_comes_soon(environment: Path, plain: Exported, images: Path) -> None:
    """From the start of the process, in seconds of computing, which other work on the machine does not count into."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run(environment / "differnet-inspect", plain.onnx, images / "0.png", "--threads", "1")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 1.5


def test_in_a_clean_environment_errors_are_sentences(environment: Path, plain: Exported, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    done = run(environment / "differnet-inspect", plain.onnx, tmp_path / "broken.png")
    assert done.returncode == 1
    assert done.stderr.startswith("warning: ")
    done = run(environment / "differnet-inspect", plain.model, tmp_path / "broken.png")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert run(environment / "differnet-inspect").returncode == 2
