"""The drawing of docs/architecture.md: rooms on floors, few modules at the root, no file too long to read at once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
ROOMS = PROJECT / "src" / "differnet"

MOST_ROOT_MODULES = 8
MOST_LINES = 450

LONG_FILES: dict[str, str] = {
    "src/differnet/detector.py": "the public face: most of it is the documentation of its methods",
}
"""Files that may be longer, and why."""


def lint_imports(source: Path) -> subprocess.CompletedProcess[str]:
    """Check the imports of a source tree by the contract in pyproject.toml."""
    program = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(PROJECT / "pyproject.toml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source)},
    )


def test_rooms_import_from_floors_below_alone_and_never_in_a_circle() -> None:
    done = lint_imports(ROOMS.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("flow/build.py", "from differnet.detector import DifferNet", "differnet.flow is not allowed to import"),
        ("watching/events.py", "from differnet.fleet import tables", "differnet.watching is not allowed to import"),
        ("gadgets/__init__.py", "", "differnet.gadgets"),
    ],
    ids=["upwards", "sideways", "room-without-a-floor"],
)
def test_what_the_drawing_forbids_is_found(tmp_path: Path, file: str, line: str, told: str) -> None:
    shutil.copytree(ROOMS, tmp_path / "differnet", ignore=shutil.ignore_patterns("__pycache__", "web"))
    (tmp_path / "differnet" / file).parent.mkdir(exist_ok=True)
    with (tmp_path / "differnet" / file).open("a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    assert told in done.stdout


def test_few_modules_lie_at_the_root() -> None:
    modules = sorted(path.name for path in ROOMS.glob("*.py"))
    assert len(modules) <= MOST_ROOT_MODULES, modules


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    folders = [PROJECT / name for name in ("src", "runtime/src", "tests", "benchmarks")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > 100
    lengths = {str(path.relative_to(PROJECT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    long = {name for name, lines in lengths.items() if lines > MOST_LINES}
    assert long - LONG_FILES.keys() == set(), "part them by subject"


def test_the_drawing_in_the_docs_is_the_one_that_is_checked() -> None:
    contract = (
        (PROJECT / "pyproject.toml").read_text(encoding="utf-8").partition("\nlayers = [\n")[2].partition("\n]")[0]
    )
    checked = [set(re.findall(r"[a-z_]+", line)) for line in contract.splitlines()][1:]  # but for __main__
    drawing = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[1]
    rooms = set().union(*checked)
    assert [set(re.findall(r"[a-z_]+", line)) & rooms for line in drawing.strip().splitlines()] == checked


def test_the_drawing_in_the_docs_names_every_room() -> None:
    drawing = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = sorted(path.parent.name for path in ROOMS.glob("*/__init__.py"))
    described = set(re.findall(r"^\| `([a-z_]+)` \|", drawing, flags=re.MULTILINE))
    assert described >= set(rooms)
    assert all((ROOMS / name).is_dir() or (ROOMS / f"{name}.py").is_file() for name in described)


def test_files_that_the_docs_name_exist() -> None:
    for page in [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:src|tests|benchmarks|docs|runtime|differnet)/[\w./-]+)`", text):
            assert (PROJECT / name).exists() or (PROJECT / "src" / name).exists(), f"{page.name} names {name}"
        for name in re.findall(r"`(differnet(?:\.[a-z_]+)+)", text):
            place = PROJECT / "src" / name.replace(".", "/")
            assert place.is_dir() or place.with_suffix(".py").is_file() or name == "differnet.cli", (
                f"{page.name}: {name}"
            )
