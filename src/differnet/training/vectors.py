"""Where the vectors that the flow learns from come from: a feature bank, or views drawn afresh in every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from differnet.compute.transfer import to_device
from differnet.features import FeatureExtraction
from differnet.images import ImageSource
from differnet.images.failure import Failure, describe
from differnet.settings import Settings, ViewSettings
from differnet.views import View, random_views

__all__ = ["BankVectors", "FreshVectors", "VectorSource", "fresh_views", "training_views"]


def training_views(settings: Settings, index: int) -> tuple[View, ...]:
    """The views of an image that a bank keeps, given its place among the images."""
    views = settings.views
    return random_views(views, views.training_count, np.random.default_rng([settings.seed, 1, index]))


def fresh_views(settings: ViewSettings, seed: int, epoch: int, place: int) -> tuple[View, ...]:
    """The views of an image that are drawn for an epoch, given its place among the images."""
    return random_views(settings, settings.training_count, np.random.default_rng([seed, epoch, place]))


class VectorSource(Protocol):
    """Gives the batches of each epoch."""

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch, (B, d) float32 each."""
        ...


class BankVectors:
    """Batches from a feature bank, in an order of their own in each epoch.

    Args:
        bank: (N, V, d) features, best on the device that trains.
        batch_images: Images per batch.
        seed: Of the order.
    """

    def __init__(self, bank: Tensor, *, batch_images: int, seed: int) -> None:
        self.bank = bank
        self.batch_images = batch_images
        self.seed = seed

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch, (B * V, d) each."""
        rng = np.random.default_rng([self.seed, number])
        order = torch.from_numpy(rng.permutation(len(self.bank)))
        for images in order.split(self.batch_images):
            yield self.bank[to_device(images, self.bank.device)].flatten(0, 1)


class FreshVectors:
    """Batches of views that are drawn and sent through the extractor anew in every epoch, as the authors do.

    On a processor features are those of the extraction but for rounding, some 1e-6; see `FeatureNetwork.quickened`.

    Args:
        extraction: Computes the features.
        sources: The training images; they are read again in every epoch.
        settings: Of the views.
        batch_images: Images per batch.
        seed: Of the order and the views.
        names: What the images are called in `failures`, instead of their path or place.
        progress: Called within an epoch with the number of images that are done.

    Attributes:
        failures: Images that could not be used, by source.
    """

    def __init__(
        self,
        extraction: FeatureExtraction,
        sources: Sequence[ImageSource],
        settings: ViewSettings,
        *,
        batch_images: int,
        seed: int,
        names: Sequence[str] | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.extraction = extraction.quickened()
        self.sources = sources
        self.settings = settings
        self.batch_images = batch_images
        self.seed = seed
        self.names = names or [describe(source, index) for index, source in enumerate(sources)]
        self.progress = progress
        self.failures: dict[str, Failure] = {}

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches of an epoch, (B * V, d) each."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.sources))

        def views(place: int) -> tuple[View, ...]:
            return fresh_views(self.settings, self.seed, number, int(order[place]))

        batch: list[Tensor] = []
        names = [self.names[i] for i in order]
        stream = self.extraction.stream((self.sources[i] for i in order), views, names)
        for done, result in enumerate(stream, start=1):
            self.progress(done)
            if isinstance(result, Failure):
                self.failures[result.source] = result
                continue
            batch.append(result.features)
            if len(batch) == self.batch_images:
                yield torch.cat(batch)
                batch = []
        if batch:
            yield torch.cat(batch)
