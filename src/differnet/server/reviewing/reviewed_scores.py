"""What was measured of reviewed images by the models that are served, each image once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch

from differnet.errors import DatasetError
from differnet.inspection.measuring import Measured, measure_images
from differnet.server.inspecting.model_repository import Served
from differnet.server.storage.files import FileStore

__all__ = ["ReviewedScores"]

# A hundred thousand images take some 20 MB.
_MODELS = 8


class ReviewedScores:
    """Scores of images by the models that they were scored by last. To be used by one thread at a time.

    A score depends on what a model learnt, which its id tells, and not on its threshold.

    Args:
        files: Where the images are.
    """

    def __init__(self, files: FileStore) -> None:
        self._files = files
        self._known: OrderedDict[str, dict[str, tuple[float, float]]] = OrderedDict()

    def of(self, served: Served, hashes: Sequence[str]) -> Measured:
        """The scores and hottest map values of images; those that are not known yet are measured.

        Args:
            served: The model.
            hashes: SHA-256 of the images; what cannot be read is left out.

        Raises:
            DatasetError: If none can be read.
        """
        known = self._known.setdefault(served.model_id, {})
        self._known.move_to_end(served.model_id)
        while len(self._known) > _MODELS:
            self._known.popitem(last=False)
        paths = {str(self._files.image(sha256)): sha256 for sha256 in hashes if sha256 not in known}
        failures = []
        if paths:
            try:
                found = measure_images(served.model.inspection, [self._files.image(each) for each in paths.values()])
            except DatasetError:  # none of the new ones
                if known.keys().isdisjoint(hashes):
                    raise
            else:
                failures = found.failures
                failed = {failure.source for failure in failures}
                read = [sha256 for path, sha256 in paths.items() if path not in failed]
                known |= zip(read, zip(found.scores.tolist(), found.peaks.tolist(), strict=True), strict=True)
        measured = torch.tensor([known[sha256] for sha256 in hashes if sha256 in known])
        return Measured(measured[:, 0], measured[:, 1], failures)
