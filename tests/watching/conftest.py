"""What the tests of the watch share: a quick inspector in the model's place, and a folder being watched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict, give_verdict
from differnet.watching import FolderWatch, Journal, OutputFile, Recorder
from differnet.watching.watcher import Content


class QuickModel:
    """Takes the first byte for the score, so that what is tested is the watch and not the network."""

    model_id = "quick"

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.on_image: Callable[[bytes], None] = lambda content: None

    def refresh(self) -> None:
        pass

    def inspect(self, contents: Iterable[Content]) -> Iterator[Verdict | Failure]:
        for index, each in enumerate(contents):
            content = each if isinstance(each, bytes) else bytes(each.ravel()[:1])
            self.seen.append(content)
            self.on_image(content)
            if not content or content.startswith(b"bad"):
                yield Failure(f"image[{index}]", "the image: is not an image; remove it.")
                continue
            about: dict[str, Any] = {"source": f"image[{index}]", "width": 16, "height": 16, "milliseconds": 1.0}
            yield give_verdict(float(content[0]), None, model_id=self.model_id, **about)


class Station:
    """A watched folder with its journal and a JSON Lines file."""

    def __init__(
        self, root: Path, folder: Path | None = None, *, settle: float = 0.05, poll: float | None = None
    ) -> None:
        self.folder = folder or root / "drop"
        self.folder.mkdir(exist_ok=True)
        self.output = root / "out.jsonl"
        self.said: list[str] = []
        self.warnings: list[str] = []
        self.model = QuickModel()
        self.journal = Journal(root / "journal")
        self._file = OutputFile(self.output, "jsonl", self.journal)
        recorder = Recorder(self.folder, self.journal, [self._file])
        self.watch = FolderWatch(
            self.folder,
            self.model,
            self.journal,
            recorder,
            say=self.said.append,
            warn=self.warnings.append,
            settle=settle,
            poll=poll,
        )

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_text().splitlines(True) if line.endswith("\n")]

    def names(self) -> list[str]:
        return [Path(row["path"]).relative_to(self.folder).as_posix() for row in self.rows()]

    def close(self) -> None:
        self._file.close()
        self.journal.close()


def once(root: Path, settle: float = 0.05) -> Station:
    """Start, inspect what is there, end; as a process would."""
    station = Station(root, settle=settle)
    try:
        station.watch.once()
    finally:
        station.close()
    return station


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    folder = tmp_path / "drop"
    folder.mkdir()
    return folder
