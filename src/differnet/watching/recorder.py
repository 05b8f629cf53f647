"""From a verdict to the journal, and from there to the outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.sinks.lines import as_json
from differnet.sinks.rows import row_of
from differnet.watching.journal import Journal
from differnet.watching.outputs import OutputFile
from differnet.watching.photograph import Photograph

__all__ = ["Recorder"]

_UNNAMED = "the image: "

_OUTCOMES = ("accept", "review", "reject", "undecided", "failed")
"""What is counted; undecided are those of a model without a threshold."""


class Recorder:
    """Writes down what came of a photograph: in the journal first, then in the outputs.

    Args:
        folder: The watched folder; rows have its path before that of the file. None for frames, which have no file.
        journal: The journal.
        outputs: Where rows go.
        queues: For each queue of deliveries, by name, what is called when a row was put into it.
    """

    def __init__(
        self,
        folder: Path | None,
        journal: Journal,
        outputs: Sequence[OutputFile],
        queues: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._outputs = outputs
        self._queues = queues
        self._totals = Counter(dict.fromkeys(_OUTCOMES, 0) | journal.totals())

    def record(self, photograph: Photograph, result: Verdict | Failure, model_id: str) -> str:
        """Write down the verdict on a photograph, or why there is none.

        Args:
            photograph: The file.
            result: What the model says of its content.
            model_id: Of the model that was asked.

        Returns:
            The error, empty if there is a verdict.

        Raises:
            OutputError: If it cannot be written.
        """
        path = photograph.relative if self._folder is None else str(self._folder / photograph.relative)
        about: dict[str, Any] = {"path": path}
        if isinstance(result, Failure):
            # The model was given bytes, which have no name.
            failure = Failure(path, result.reason.removeprefix(_UNNAMED))
            about |= {"model_id": model_id, "error": str(failure)}
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._totals["failed" if isinstance(result, Failure) else result.decision or "undecided"] += 1
        row = row_of(result, **about, inspected_at=now, sequence=self._totals.total())
        lines = {output.number: output.line(row) for output in self._outputs}
        bodies = dict.fromkeys(self._queues, as_json({**row, "counts": self._totals})) if self._queues else {}
        self._journal.record(photograph, photograph.key(model_id), now, lines=lines, bodies=bodies, totals=self._totals)
        for output in self._outputs:
            output.append(lines[output.number])
        for queued in self._queues.values():
            queued()
        return row["error"] or ""
