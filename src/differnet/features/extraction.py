"""From images to feature vectors, once: decode, resize, views, extractor, pooling (paper, section 3.1)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from differnet.errors import ImageError, SettingsError
from differnet.extractors import Extractor
from differnet.features.bank import BankBuilder, FeatureBank
from differnet.features.cache import CachedImage, FeatureCache
from differnet.features.describer import Describer
from differnet.features.network import Engine, FeatureNetwork
from differnet.features.sample import Sample
from differnet.features.streaming import stream_groups
from differnet.images import (
    ImageSource,
    PixelScale,
    RegionOfInterest,
    ScaleSource,
    TrainingLook,
    decode_image,
)
from differnet.images.failure import Failure, describe
from differnet.views import Tiling, View, resize

__all__ = ["FeatureExtraction", "ViewChoice"]

_MOST_BYTES = 500_000_000

ViewChoice: TypeAlias = Sequence[View] | Callable[[int], Sequence[View]]
"""The views of every image, or a function from an image's place in the input to its views."""


class FeatureExtraction:
    """Turns images into view features: each alone, as a stream, or many into a bank.

    Args:
        extractor: A frozen extractor; it is moved to the device.
        size: Side that images are resized to, in pixels.
        view_size: Side that they are reduced to before views are made of them; None for that of the images.
        tiling: How long images are cut, of the same size; None for images that are resized to squares.
        scales: Number of image sizes.
        device: Where the network runs; on a GPU the views are made there too, in one batched call.
        dtype: float32 or bfloat16, what the network computes in; features are float32 in either case. Hardware without
            bfloat16 computes in float32 and rounds, see `differnet.extractors.rounding`.
        region: Region of interest that images are cropped to; None for whole images.
        stages: See `pool_scales`.
        deviation: See `pool_scales`.
        cache: Keeps features from one run to the next; None computes them anew.
        fingerprint: Of the extractor's weights, by which the cache tells features apart.
        most_bytes: A bank of more than this is kept in a temporary file, mapped into memory.
        scale: What becomes black and white of pixels of more than eight bits, see `differnet.images.read_image`.
        engine: What runs the network on a CPU: ``openvino``, which is quicker; ``torch``; or ``auto``, the former where
            it is installed and can. Features agree in six digits. A GPU, gradients, bfloat16, several scales, and a
            few views of a lone image, for which compiling does not pay, are always torch's.

    Attributes:
        network: From pixels to features and cells.
        region: The region of interest.
        tiling: How long images are cut.
        scale: Of the pixels.

    Raises:
        SettingsError: If OpenVINO is asked for, and is not installed or cannot do this; if tiles leave gaps.
    """

    def __init__(
        self,
        extractor: Extractor,
        *,
        size: int = 448,
        view_size: int | None = None,
        tiling: Tiling | None = None,
        scales: int = 3,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        region: RegionOfInterest | None = None,
        stages: Sequence[int] = (-1,),
        deviation: bool = False,
        cache: FeatureCache | None = None,
        fingerprint: str = "",
        most_bytes: int = _MOST_BYTES,
        scale: PixelScale | None = None,
        engine: Engine = "auto",
    ) -> None:
        self.network = FeatureNetwork(
            extractor,
            size=size,
            view_size=view_size,
            scales=scales,
            device=device,
            dtype=dtype,
            stages=stages,
            deviation=deviation,
            fingerprint=fingerprint,
            engine=engine,
        )
        if tiling is not None and not (tiling.size == size and tiling.is_whole):
            raise SettingsError(
                f"Squares of {size} pixels cannot be made of {tiling.name} tiles; train the model anew."
            )
        self.region = region
        self.tiling = tiling
        self.scale: ScaleSource = scale
        self._look: TrainingLook | None = None
        self._cache = cache
        self._most_bytes = most_bytes

    @property
    def extractor(self) -> Extractor:
        """The frozen extractor; this and what follows is the network's."""
        return self.network.extractor

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.network.dtype

    @property
    def engine(self) -> str:
        """What runs it."""
        return self.network.engine

    @property
    def size(self) -> int:
        """Side of the images that it sees, in pixels."""
        return self.network.size

    @property
    def scales(self) -> int:
        """Number of image sizes."""
        return self.network.scales

    @property
    def stages(self) -> tuple[int, ...]:
        """Those that are pooled."""
        return self.network.stages

    @property
    def deviation(self) -> bool:
        """Whether deviations are pooled too."""
        return self.network.deviation

    @property
    def features(self) -> int:
        """Number of features, d."""
        return self.network.features

    def on_scale(self, scale: PixelScale | None) -> FeatureExtraction:
        """The same network for images on another scale."""
        other = copy.copy(self)
        other.scale, other._look = scale, None
        return other

    def quickened(self) -> FeatureExtraction:
        """The same for views that are seen once, see `FeatureNetwork.quickened`; nothing of them is kept in a cache."""
        other = copy.copy(self)
        other.network, other._cache = self.network.quickened(), None
        return other

    def watched_by(self, look: TrainingLook) -> FeatureExtraction:
        """The same network for images to learn from, whose scale and sizes are found out on the way."""
        other = copy.copy(self)
        other.scale, other._look = look.scale, look
        return other

    def describe(self, pixels: NDArray[np.uint8], describer: Describer) -> Any:  # noqa: ANN401 - the describer's cells
        """See `FeatureNetwork.describe`."""
        return self.network.describe(pixels, describer)

    def stream(
        self,
        sources: Iterable[ImageSource],
        views: ViewChoice,
        names: Sequence[str] | None = None,
        cells: Describer | None = None,
    ) -> Iterator[Sample | Failure]:
        """Compute the features of each image, in the order of the input.

        Args:
            sources: Paths or arrays; consumed as needed, so it may be long.
            views: The V views of every image, or a function from an image's place in the input to its V views.
            names: What the images are called in the results, instead of their path or place.
            cells: Describes the cells of every image too; where the image as it is is the first view, that takes no
                further pass of the network.

        Yields:
            The image with its features, or why it could not be used.
        """
        for group in self.stream_groups(sources, views, names, cells):
            yield from group

    def stream_groups(
        self,
        sources: Iterable[ImageSource],
        views: ViewChoice,
        names: Sequence[str] | None = None,
        cells: Describer | None = None,
        *,
        side_by_side: bool = True,
        with_images: bool = False,
        complete: Callable[[Sample], None] = lambda sample: None,
    ) -> Iterator[list[Sample | Failure]]:
        """Compute as `stream` does, but hand on a few images at once, for what is quicker for several; never none.

        Args:
            sources: As in `stream`.
            views: As in `stream`.
            names: As in `stream`.
            cells: As in `stream`.
            side_by_side: See `differnet.features.streaming.stream_groups`.
            with_images: Whether the originals are kept.
            complete: What else is done for an image by itself. Where images are computed side by side it is called in
                their threads, so that all cores share it; elsewhere it is left to the caller.
        """

        def prepare(index: int, source: ImageSource, compute: bool) -> Sample | Failure:
            name = names[index] if names else None
            sample = self.prepare(source, views, index, name, cells, compute=compute, with_image=with_images)
            if compute and isinstance(sample, Sample) and sample.is_extracted:
                complete(sample)
            return sample

        def finish(group: list[Sample | Failure]) -> list[Sample | Failure]:
            return self.finish(group, cells)

        return stream_groups(
            sources, prepare, finish, self.network.device, side_by_side=side_by_side, with_images=with_images
        )

    def bank(
        self,
        sources: Sequence[ImageSource],
        views: ViewChoice,
        progress: Callable[[int], None] = lambda done: None,
        *,
        names: Sequence[str] | None = None,
        visit: Callable[[Sample], None] = lambda sample: None,
        cells: Describer | None = None,
    ) -> FeatureBank:
        """Compute the features of many images and keep them.

        Args:
            sources: Paths or arrays.
            views: As in `stream`.
            progress: Called with the number of images done so far.
            names: What the images are called in the bank and its failures, instead of their path or place.
            visit: Called with every image, of which only the features are kept.
            cells: As in `stream`.
        """
        bank = BankBuilder(len(sources), self.network.features, self._most_bytes)
        for done, result in enumerate(self.stream(sources, views, names, cells), start=1):
            if isinstance(result, Sample):
                visit(result)
            bank.add(result)
            progress(done)
        return bank.build()

    def prepare(
        self,
        source: ImageSource,
        views: ViewChoice,
        index: int = 0,
        name: str | None = None,
        cells: Describer | None = None,
        *,
        compute: bool = True,
        with_image: bool = False,
    ) -> Sample | Failure:
        """Do for an image what is done for each by itself; may be called from several threads at a time.

        Args:
            source: Path or array.
            views: As in `stream`.
            index: Place of the image in the input.
            name: What it is called in the results, instead of its path or place.
            cells: As in `stream`.
            compute: Whether on a CPU the network is one of these things; on a GPU it never is.
            with_image: Whether the original is kept.
        """
        name = describe(source, index) if name is None else name
        try:
            decoded = decode_image(source, scale=self.scale)
            image = decoded.pixels
            if self._look is not None:
                self._look.note(image.shape[1], image.shape[0], decoded.depth, decoded.pages)
            cropped = image if self.region is None else self.region.crop(image)
        except ImageError as error:
            return Failure(name, str(error))
        chosen = views(index) if callable(views) else views
        pixels = resize(cropped, self.network.size, self.tiling)
        kept = image if with_image else None
        sample = Sample(index, name, image.shape[1], image.shape[0], chosen, pixels, decoded.depth, decoded.pages, kept)
        if self._find(sample, cells) or self.network.device.type != "cpu":
            return sample
        sample.turned = self.network.turn(pixels, chosen)
        if compute:
            self._compute([sample], cells)
        return sample

    def finish(self, samples: Sequence[Sample | Failure], cells: Describer | None = None) -> list[Sample | Failure]:
        """Do what is done for several images at once: what `prepare` left.

        The network is compiled for a single image too, a third of a second once, and on a CPU each image passes it by
        itself: what its score is in the last digits must not depend on the images that it comes with.

        Args:
            samples: What `prepare` returned.
            cells: As for `prepare`.

        Returns:
            The same, with features and cells.
        """
        missing = [sample for sample in samples if isinstance(sample, Sample) and not sample.is_extracted]
        if missing and self.network.device.type == "cpu":
            for sample in missing:
                self._compute([sample], cells)
        elif missing:
            self._compute(missing, cells)
        return list(samples)

    def _find(self, sample: Sample, cells: Describer | None) -> bool:
        """Take what the cache keeps of an image, and say whether there was anything."""
        if self._cache is None:
            return False
        sample.key = self._cache.key(sample.pixels, self._description(sample.views, cells))
        found = self._cache.get(sample.key, None if cells is None else cells.made)
        if found is None:
            return False
        sample.features = found.features
        sample.cells = None if found.cells is None else found.cells.to(self.network.device)
        return True

    def _compute(self, samples: Sequence[Sample], cells: Describer | None) -> None:
        features, grids = self.network.compute(
            [sample.pixels for sample in samples],
            [sample.views for sample in samples],
            cells,
            turned=[sample.turned for sample in samples],
        )
        for sample, of_image, grid in zip(samples, features, grids, strict=True):
            sample.features, sample.cells, sample.turned = of_image, grid, None
            if self._cache is not None:
                self._cache.put(sample.key, CachedImage(of_image, grid))

    def _description(self, views: Sequence[View], cells: Describer | None) -> str:
        """All that features depend on beside the pixels."""
        return repr((*self.network.identity, tuple(views), None if cells is None else cells.key))
