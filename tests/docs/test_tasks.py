"""The commands and the Python of the pages of tasks run, as they stand there, one page after the other. `make docs`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import PROJECT, environment

PAGES = sorted((PROJECT / "docs" / "tasks").glob("*.md"))
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_all_that_a_page_says_runs(page: Path, product: Path, tmp_path: Path) -> None:
    shutil.copytree(product, tmp_path, dirs_exist_ok=True)
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    for language, text in blocks:
        # Job control gives %1, and each command must succeed.
        command = [sys.executable, "-c", text] if language == "python" else ["bash", "-e", "-m", "-c", text]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment(), timeout=300
        )
        assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def test_the_first_page_lists_ten_tasks_with_a_page_each() -> None:
    text = (PROJECT / "docs" / "index.md").read_text(encoding="utf-8")
    links = re.findall(r"^\d+\. \[.+\]\((.+)\)$", text, re.MULTILINE)
    assert len(links) == len(set(links)) == 10
    assert all((PROJECT / "docs" / link).is_file() for link in links)
