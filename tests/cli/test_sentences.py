"""What commands say to people: quiet where asked, lines where there is no bar, sentences, one name for an option."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from differnet.cli.main import app
from differnet.cli.progress import PlainProgress
from differnet.training.progress import EPOCH_IMAGES, EpochReport
from tests.cli.test_commands import run


def commands(command: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if children is None:
        return [path]
    return [found for name, child in children.items() for found in commands(child, (*path, name))]


PATHS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_begins_with_a_sentence_and_names_the_common_options(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(app, [*path, "--help"], prog_name="differnet").output
    sentence = " ".join(told.partition("\n\n")[2].partition("\n\n")[0].split())
    assert sentence[0].isupper()
    assert sentence.rstrip(")").endswith((".", ":"))
    assert "-q, --quiet" in told
    assert "--json" in told
    if "--output" in told:
        assert "-o, --output" in told


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("differnet tra", ["train"]), ("differnet train --false", ["--false-reject-rate"])],
)
def test_a_shell_completes_commands_and_options(typed: str, expected: list[str]) -> None:
    words = {"_DIFFERNET_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    assert CliRunner().invoke(app, [], prog_name="differnet", env=words).output.split() == expected


def test_score_tells_the_outcome_where_verdicts_go_to_a_file(model_file: Path, product: Path, tmp_path: Path) -> None:
    told = run("score", model_file, product / "test", "--csv", tmp_path / "v.csv").stderr
    assert "14 image(s): " in told
    assert " rejected" in told
    quiet = run("score", model_file, product / "test", "--csv", tmp_path / "v.csv", "-q").stderr
    assert "image(s)" not in quiet


def test_progress_comes_as_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(seconds=0.0)
    progress.images("features", 3, 10)
    PlainProgress(seconds=60.0).images("features", 4, 10)
    assert capsys.readouterr().err == "features: 3 of 10\n"


def test_progress_within_an_epoch_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PlainProgress(seconds=0.0)
    progress.epoch(EpochReport(3, 192, 1.25, None, 3))
    progress.images(EPOCH_IMAGES, 24, 209)
    assert capsys.readouterr().err.splitlines()[-1] == "training: epoch 3 of 192, loss 1.250; this epoch: 24 of 209"
