"""What docs/extending.md adds can be added: its code runs as far as the registration; what follows needs images."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REGISTRATION = re.compile(r"register\(|[A-Z_]+(\.register\(|\[.+\] = )")
PAGE = Path(__file__).parent.parent / "docs" / "extending.md"


def sections() -> dict[str, list[str]]:
    """The Python blocks under each heading."""
    _, *parts = ("\n" + PAGE.read_text(encoding="utf-8")).split("\n## ")
    return {
        part.partition("\n")[0]: [block.partition("\n```")[0] for block in part.split("```python\n")[1:]]
        for part in parts
    }


@pytest.mark.parametrize("title", list(sections()))
def test_the_block_of_each_section_runs(title: str, tmp_path: Path) -> None:
    blocks = sections()[title]
    assert blocks
    lines = blocks[0].splitlines()
    last = next(i for i, line in enumerate(lines) if REGISTRATION.match(line))
    program = "\n".join(lines[: last + 1])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
