"""Folders that are no benchmark's: what the commands learn, test with, say and refuse."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from differnet.sinks import path_of
from tests.cli.test_commands import SETTINGS, run


@pytest.fixture(scope="module")
def ok_ng(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plates of the product, laid out as OK, NG and MASK; one mask is missing."""
    root = tmp_path_factory.mktemp("plates")
    shutil.copytree(product / "train" / "good", root / "OK")
    shutil.copytree(product / "test" / "scratch", root / "NG")
    (root / "MASK").mkdir()
    mask = np.zeros((96, 96), np.uint8)
    mask[40:60, 20:40] = 255
    for image in sorted((root / "NG").iterdir())[1:]:
        Image.fromarray(mask).save(root / "MASK" / image.name)
    return root


def test_train_evaluate_and_report_read_ok_ng_and_mask_alike(ok_ng: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.safetensors"
    trained = run("train", ok_ng, "-o", model, *SETTINGS, "--json")
    document = json.loads(trained.stdout)
    assert document["images"] + document["held_out_images"] == 19
    for said in ("5 of 24 good images, which are kept for 'differnet evaluate'", "4 image(s) in 'NG'", "3 mask(s)"):
        assert said in trained.stderr
    evaluated = run("evaluate", model, ok_ng, "--json")
    figures = json.loads(evaluated.stdout)
    assert (figures["n_good"], figures["n_defective"]) == (5, 4)
    assert figures["pixel_auroc"] > 0
    assert "no mask was found of 1 of 4 defective images" in evaluated.stderr
    report = json.loads(run("report", model, ok_ng, "-o", tmp_path / "r.html", "--json").stdout)
    assert report["pixel_auroc"] == figures["pixel_auroc"]
    named = ("--good", "OK", "--defective", "NG", "--masks", "MASK")
    by_name = json.loads(run("evaluate", model, ok_ng, *named, "--json").stdout)
    assert (by_name["n_good"], by_name["n_defective"]) == (24, 4)


def test_masks_that_mark_nothing_are_told_of_and_not_taken_for_good_pixels(
    ok_ng: Path, model_file: Path, tmp_path: Path
) -> None:
    root = tmp_path / "plates"
    shutil.copytree(ok_ng, root)
    before = json.loads(run("evaluate", model_file, root, "--json").stdout)
    marked, *others = sorted((root / "MASK").iterdir())
    for mask in others:
        Image.fromarray(np.zeros((96, 96), np.uint8)).save(mask)
    done = run("evaluate", model_file, root, "--json")
    assert "2 mask(s) of defective images mark nothing" in done.stderr
    figures = json.loads(done.stdout)
    assert figures["empty_masks"] == [str(mask) for mask in others]
    for mask in others:
        mask.unlink()
    alone = json.loads(run("evaluate", model_file, root, "--json").stdout)
    assert before["empty_masks"] == alone["empty_masks"] == []
    assert figures["pixel_auroc"] == alone["pixel_auroc"]
    Image.fromarray(np.zeros((96, 96), np.uint8)).save(marked)
    assert "1 mask(s)" in run("report", model_file, root, "-o", tmp_path / "r.html").stderr


@pytest.mark.parametrize("command", [["train", "--dry-run"], ["inspect-folder"]])
def test_what_would_be_learnt_can_be_seen_before(ok_ng: Path, command: list[str]) -> None:
    said = run(*command, ok_ng).stdout
    assert "read as 'good and defective folders', because it has folders 'NG', 'OK'" in said
    assert "learnt from: 19 good: " in said
    assert str(ok_ng / "OK") in said
    assert "tested with: 4 defective, 'NG', 3 with a mask: " in said
    document = json.loads(run(*command, ok_ng, "--json").stdout)
    assert document["learnt"]["images"] == 19
    assert [(each["kind"], each["images"], each["masks"]) for each in document["tested"]] == [
        ("NG", 4, 3),
        ("good", 5, 0),
    ]
    assert all(Path(sample).is_file() for each in document["tested"] for sample in each["samples"])


def test_folders_that_nothing_explains_are_refused_by_every_command(
    ok_ng: Path, model_file: Path, tmp_path: Path
) -> None:
    for name, source in (("links", "OK"), ("rechts", "NG")):
        shutil.copytree(ok_ng / source, tmp_path / "parts" / name)
    refused = run("train", tmp_path / "parts", "-o", tmp_path / "m.safetensors", *SETTINGS, code=1).stderr
    assert "--good 'links'" in refused
    assert not (tmp_path / "m.safetensors").exists()
    for command in (["calibrate", model_file], ["inspect-folder"], ["train", "--dry-run"], ["recipe", "new"]):
        said = run(*command, tmp_path / "parts", code=1)
        assert "--good 'links'" in said.stderr + said.stdout
    chosen = run("train", tmp_path / "parts", "--good", "links", "--dry-run").stdout
    assert "learnt from: 24 good" in chosen


def test_a_recipe_says_where_good_parts_are(ok_ng: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"images: {ok_ng}\ngood: [OK]\n")
    assert "learnt from: 24 good" in run("train", "--recipe", recipe, "--dry-run").stdout
    run("train", "--recipe", recipe, "--good", "NG", "--dry-run", code=2)


def test_train_needs_an_output_unless_it_only_looks(ok_ng: Path) -> None:
    assert "--output" in run("train", ok_ng, code=2).stderr


def test_linked_folders_are_told(model_file: Path, ok_ng: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(ok_ng / "NG")
    shutil.copy(next((ok_ng / "OK").iterdir()), tmp_path / "0.png")
    assert "1 linked folder(s)" in run("score", model_file, tmp_path).stderr


def test_names_neither_break_tables_nor_command_the_terminal(
    model_file: Path, ok_ng: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["=cmd|calc.png", "+1.png", "@x.png", "-y.png", "car\rret.png", "esc\x1b[31m.png", "new\nline.png"]
    source = next((ok_ng / "OK").iterdir())
    for name in names:
        shutil.copy(source, tmp_path / name)
    (tmp_path / "bad\x1b[2J.png").write_bytes(b"no image")
    monkeypatch.chdir(tmp_path)
    done = run("score", model_file, ".", "--csv", "x.csv", code=1)
    assert "\x1b" not in done.stderr
    assert "bad\\x1b[2J.png" in done.stderr
    with (tmp_path / "x.csv").open(newline="") as stream:
        cells = [row["path"] for row in csv.DictReader(stream)]
    assert sorted(path_of(cell) for cell in cells) == sorted(names)
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    text = run("score", model_file, ".", code=1).stdout
    assert len(text.splitlines()) == len(names)
    assert "\x1b" not in text


def test_long_paths_are_told_without_a_traceback(
    model_file: Path, ok_ng: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(next((ok_ng / "OK").iterdir()), "0.png")
    for _ in range(60):
        Path("d" * 80).mkdir()
        monkeypatch.chdir("d" * 80)
    monkeypatch.chdir(tmp_path)
    assert "1 folder(s) or link(s) that cannot be opened" in run("score", model_file, tmp_path).stderr
    long = "d" * 5000
    for command in (
        ["score", model_file, long],
        ["score", long, "0.png"],
        ["train", long, "-o", "m.safetensors"],
        ["train", tmp_path, "-o", long],
        ["train", tmp_path, "--good", long, "-o", "m.safetensors"],
        ["evaluate", model_file, long],
        ["inspect-folder", long],
        ["score", model_file, "0.png", "--csv", long],
        ["explain", model_file, "0.png", "-o", long],
        ["info", long],
    ):
        run(*command, code=1)
