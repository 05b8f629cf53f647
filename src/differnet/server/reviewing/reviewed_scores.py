"""What was measured of reviewed images by the models that are served, each image once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from differnet.errors import DatasetError
from differnet.images.failure import Failure
from differnet.inspection.measuring import Measured, measure_images
from differnet.server.inspecting.model_repository import Served
from differnet.server.problems import Problem
from differnet.server.storage.files import FileStore

__all__ = ["ReviewedScores"]

# A hundred thousand images take some 20 MB.
_MODELS = 8
# Between two looks at the clock.
_PIECE = 8


class ReviewedScores:
    """Scores of images by the models that they were scored by last. To be used by one thread at a time.

    A score depends on what a model learnt, which its id tells, and not on its threshold.

    Args:
        files: Where the images are.
    """

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._known: OrderedDict[str, dict[str, tuple[float, float]]] = OrderedDict()

    def of(self, served: Served, hashes: Sequence[str], until: float) -> Measured:
        """The scores and hottest map values of images; those that are not known yet are measured.

        Args:
            served: The model.
            hashes: SHA-256 of the images; what cannot be read is left out.
            until: By `time.monotonic`; what is measured by then is kept, for whoever asks again. At least a few are.

        Raises:
            DatasetError: If none can be read.
            Problem: 503 if some are left then.
        """
        known = self._known.setdefault(served.model_id, {})
        self._known.move_to_end(served.model_id)
        while len(self._known) > _MODELS:
            self._known.popitem(last=False)
        left = [sha256 for sha256 in hashes if sha256 not in known]
        failures: list[Failure] = []
        none: DatasetError | None = None
        for begin in range(0, len(left), _PIECE):
            if begin and time.monotonic() > until:
                raise Problem(
                    503,
                    f"{len(hashes) - len(left) + begin} of {len(hashes)} reviewed images are scored so far; ask again.",
                    retry_after=1,
                )
            paths = {str(self._files.image(sha256)): sha256 for sha256 in left[begin : begin + _PIECE]}
            try:
                found = measure_images(served.model.inspection, [Path(path) for path in paths])
            except DatasetError as error:  # none of these
                none = error
                continue
            failures += found.failures
            failed = {failure.source for failure in found.failures}
            read = [sha256 for path, sha256 in paths.items() if path not in failed]
            known |= zip(read, zip(found.scores.tolist(), found.peaks.tolist(), strict=True), strict=True)
        if none is not None and known.keys().isdisjoint(hashes):
            raise none
        measured = torch.tensor([known[sha256] for sha256 in hashes if sha256 in known])
        return Measured(measured[:, 0], measured[:, 1], failures)
