"""Fresh views on a GPU: images are read once and stay there, and so do their views and features."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import torch
from torch import Tensor

from differnet.compute.threads import count_workers, map_ahead
from differnet.features import FeatureExtraction, Sample
from differnet.images.failure import Failure
from differnet.training.vectors import FreshVectors, fresh_views

__all__ = ["DeviceVectors", "fits_device"]

# Of the memory that is free; the rest is for maps, the flow and its optimiser.
_MOST_SHARE = 0.25


def fits_device(extraction: FeatureExtraction, images: int) -> bool:
    """Whether so many images as the extractor sees them find room on a GPU; never on a CPU, where `FreshVectors` is."""
    if extraction.device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(extraction.device)
    return 3 * extraction.network.view_size**2 * images <= _MOST_SHARE * free


class DeviceVectors(FreshVectors):
    """Batches of the views that `FreshVectors` draws, without a step of the processor that a GPU would wait for.

    Resized images are kept on the device, 0.6 MB each at 448 pixels; they are read once, in the first epoch. Every
    batch is turned and extracted there by operations that are only put in line. Features are those of `FreshVectors`,
    up to rounding.
    """

    _images: list[Tensor | None] | None = None

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch, (B * V, d) each, on the device."""
        if self._images is None:
            self._images = self._read()
        order = np.random.default_rng([self.seed, number]).permutation(len(self.sources)).tolist()
        usable = [(place, image) for place in order if (image := self._images[place]) is not None]
        for start in range(0, len(usable), self.batch_images):
            batch = usable[start : start + self.batch_images]
            views = [fresh_views(self.settings, self.seed, number, place) for place, _ in batch]
            stacked = torch.stack([image for _, image in batch])
            yield self.extraction.network.extract_stacked(stacked, views).flatten(0, 1)
            self.progress(min(start + self.batch_images, len(usable)))

    def _read(self) -> list[Tensor | None]:
        """What views are made of, uint8 (view_size, view_size, 3) on the device; None for those not to be used."""
        images: list[Tensor | None] = []
        workers = count_workers()

        def prepare(place: int) -> Sample | Failure:
            return self.extraction.prepare(self.sources[place], (), place, self.names[place], compute=False)

        with (
            ThreadPoolExecutor(workers, thread_name_prefix="differnet-read") as pool,
            closing(map_ahead(pool, prepare, range(len(self.sources)), 2 * workers)) as samples,
        ):
            for sample in samples:
                if isinstance(sample, Failure):
                    self.failures[sample.source] = sample
                    images.append(None)
                else:
                    # A copy, since the array may be read-only.
                    images.append(
                        torch.tensor(self.extraction.network.reduce(sample.pixels), device=self.extraction.device)
                    )
        return images
