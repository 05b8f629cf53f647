"""From images to feature vectors, once: decode, resize, views, extractor, pooling (paper, section 3.1)."""

from __future__ import annotations

import itertools
import logging
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.devices import has_fast_bfloat16
from differnet.compute.threads import count_workers, map_ahead, workers_with_own_cores
from differnet.errors import ImageError, SettingsError
from differnet.extractors import Extractor
from differnet.extractors.openvino_stages import can_compile
from differnet.extractors.rounding import round_as_bfloat16
from differnet.features.cache import CachedImage, FeatureCache
from differnet.features.describer import Cells, Describer
from differnet.features.image_features import FeatureBank, ImageFeatures, PreparedImage
from differnet.features.openvino_features import CompiledFeatures, compile_features
from differnet.features.pooling import pool_maps, pool_scales
from differnet.images import ImageSource, RegionOfInterest, load_image
from differnet.images.failure import Failure, describe
from differnet.views import View, apply_views, apply_views_batch, resize

__all__ = ["VIEWS_PER_CALL", "VIEWS_PER_GROUP", "Engine", "FeatureExtraction", "ViewChoice"]

_log = logging.getLogger(__name__)

Engine: TypeAlias = Literal["auto", "torch", "openvino"]
"""What runs the extractor on a CPU."""

_DECODE_THREADS = 2
_READ_AHEAD = 4
# Views per call of the network: more take more memory and no less time on two cores.
VIEWS_PER_CALL = {"cpu": 4, "cuda": 64}
# Views that are handed on together: the flow reads its weights, more than a cache holds, once for all of them.
VIEWS_PER_GROUP = 8
# From so many views on, the third of a second that compiling a network takes is won back.
_WORTH_COMPILING = 16
_GPU_BATCH = 256
_MOST_BYTES = 500_000_000

ViewChoice: TypeAlias = Sequence[View] | Callable[[int], Sequence[View]]
"""The views of every image, or a function from an image's place in the input to its views."""


class FeatureExtraction:
    """Turns images into view features, streaming: images are read ahead in threads while the network computes.

    Args:
        extractor: A frozen extractor; it is moved to the device.
        size: Side that images are resized to, in pixels.
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
        engine: What runs the network on a CPU: ``openvino``, which is quicker; ``torch``; or ``auto``, the former where
            it is installed and can. Features agree in six digits. A GPU, gradients, bfloat16, several scales, and a
            few views of a lone image, for which compiling does not pay, are always torch's.

    Attributes:
        engine: The one of these that it is.

    Raises:
        SettingsError: If OpenVINO is asked for, and is not installed or cannot do this.
    """

    def __init__(
        self,
        extractor: Extractor,
        *,
        size: int = 448,
        scales: int = 3,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        region: RegionOfInterest | None = None,
        stages: Sequence[int] = (-1,),
        deviation: bool = False,
        cache: FeatureCache | None = None,
        fingerprint: str = "",
        most_bytes: int = _MOST_BYTES,
        engine: Engine = "auto",
    ) -> None:
        self._cache = cache
        self._fingerprint = fingerprint
        self._most_bytes = most_bytes
        self.stages = tuple(stages)
        self.deviation = deviation
        self.device = torch.device(device)
        self.region = region
        self.size = size
        self.scales = scales
        self.dtype = dtype
        extractor = extractor.to(self.device)
        if dtype == torch.bfloat16 and not has_fast_bfloat16(self.device):
            round_as_bfloat16(extractor)
        else:
            extractor.set_precision(dtype)
        # channels_last is a third faster on a CPU, and what tensor cores want.
        self.extractor = extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        channels = (*extractor.stage_channels, extractor.channels)
        self.features = scales * sum(channels[stage] for stage in stages) * (2 if deviation else 1)
        self._batch = VIEWS_PER_CALL["cpu"] if self.device.type == "cpu" else _GPU_BATCH
        self.engine: Literal["torch", "openvino"] = "torch"
        able = self.device.type == "cpu" and dtype == torch.float32 and scales == 1 and can_compile(extractor)
        if engine == "openvino" and not able:
            raise SettingsError(
                "OpenVINO cannot run this extractor: it must be installed (pip install 'differnet[fast]'), and it runs "
                "efficientnet-lite0 at a single scale in float32 on a CPU; take engine='auto'."
            )
        if able and engine != "torch":
            self.engine = "openvino"
        self._compiled: dict[Hashable, CompiledFeatures] = {}
        self._compiling = threading.Lock()

    def stream(
        self,
        sources: Iterable[ImageSource],
        views: ViewChoice,
        names: Sequence[str] | None = None,
        cells: Describer | None = None,
    ) -> Iterator[ImageFeatures | Failure]:
        """Compute the features of each image, in the order of the input.

        Args:
            sources: Paths or arrays; consumed as needed, so it may be long.
            views: The V views of every image, or a function from an image's place in the input to its V views.
            names: What the images are called in the results, instead of their path or place.
            cells: Describes the cells of every image too; where the image as it is is the first view, that takes no
                further pass of the network.

        Yields:
            The features of an image, or why it could not be used.
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
    ) -> Iterator[list[ImageFeatures | Failure]]:
        """Compute as `stream` does, but hand on a few images at once, for what is quicker for several; never none.

        Args:
            sources: As in `stream`.
            views: As in `stream`.
            names: As in `stream`.
            cells: As in `stream`.
            side_by_side: Whether several images on a CPU each get a core of their own, so that until the end torch
                computes on a single one in the calling thread. Not for callers whose own part is a large one.
        """
        items = enumerate(sources)
        first = list(itertools.islice(items, 2))
        workers = count_workers()
        alone = side_by_side and self.device.type == "cpu" and len(first) > 1 and workers > 1

        def prepare(item: tuple[int, ImageSource]) -> PreparedImage | Failure:
            index, source = item
            return self.prepare(source, views, index, names[index] if names else None, cells, compute=alone)

        pool: AbstractContextManager[Executor] = (
            workers_with_own_cores(workers)
            if alone
            else ThreadPoolExecutor(_DECODE_THREADS, thread_name_prefix="differnet-read")
        )
        most = VIEWS_PER_GROUP if self.device.type == "cpu" else _GPU_BATCH
        ahead = workers + VIEWS_PER_GROUP if alone else _READ_AHEAD
        group: list[PreparedImage | Failure] = []
        with pool as executor, closing(map_ahead(executor, prepare, itertools.chain(first, items), ahead)) as images:
            for image in images:
                group.append(image)
                if sum(1 if isinstance(each, Failure) else len(each.views) for each in group) >= most:
                    yield self.finish(group, cells, several=len(first) > 1)
                    group = []
            if group:
                yield self.finish(group, cells, several=len(first) > 1)

    def bank(
        self,
        sources: Sequence[ImageSource],
        views: ViewChoice,
        progress: Callable[[int], None] = lambda done: None,
        *,
        names: Sequence[str] | None = None,
        visit: Callable[[ImageFeatures], None] = lambda image: None,
        cells: Describer | None = None,
    ) -> FeatureBank:
        """Compute the features of many images and keep them.

        Args:
            sources: Paths or arrays.
            views: As in `stream`.
            progress: Called with the number of images done so far.
            names: What the images are called in the bank and its failures, instead of their path or place.
            visit: Called with every image's features, pixels and cells, of which only the features are kept.
            cells: As in `stream`.
        """
        features: list[Tensor] = []
        spooled: Tensor | None = None
        kept: list[str] = []
        failures: list[Failure] = []
        for done, result in enumerate(self.stream(sources, views, names, cells), start=1):
            if isinstance(result, Failure):
                failures.append(result)
            else:
                visit(result)
                if spooled is None and len(sources) * result.features.nbytes > self._most_bytes:
                    spooled = _on_disk((len(sources), *result.features.shape))
                if spooled is None:
                    features.append(result.features)
                else:
                    spooled[len(kept)] = result.features
                kept.append(result.source)
            progress(done)
        if spooled is not None:
            return FeatureBank(spooled[: len(kept)], kept, failures)
        stacked = torch.stack(features) if features else torch.empty(0, 0, self.features)
        return FeatureBank(stacked, kept, failures)

    def as_tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Turn uint8 (size, size, 3) pixels into (1, 3, size, size) float32 in [0, 1] on the device."""
        # A copy, since the array may be read-only; NHWC bytes seen as NCHW are channels_last already.
        return torch.tensor(pixels, device=self.device)[None].permute(0, 3, 1, 2).float() / 255

    @torch.no_grad()
    def describe(self, pixels: NDArray[np.uint8], describer: Describer) -> Any:  # noqa: ANN401 - the describer's cells
        """Describe the cells of a resized image by torch, in a pass of the network of their own.

        Args:
            pixels: uint8 (size, size, 3).
            describer: Of the cells.

        Returns:
            The cells, on the device.
        """
        [cells] = describer.describe(self.extractor.forward_stages(self.as_tensor(pixels)), self.size)
        return cells

    @torch.no_grad()
    def extract(self, images: Sequence[NDArray[np.uint8]], views: Sequence[Sequence[View]]) -> Tensor:
        """Compute the features of resized images.

        Args:
            images: B arrays, uint8 (size, size, 3).
            views: For each image its V views.

        Returns:
            (B, V, d) float32 on the CPU.
        """
        if self.device.type == "cpu":
            turned = [apply_views(image, chosen) for image, chosen in zip(images, views, strict=True)]
            return self.extract_turned(turned, compiled=True)
        return self.extract_on_device(images, views)

    @torch.no_grad()
    def extract_on_device(self, images: Sequence[NDArray[np.uint8]], views: Sequence[Sequence[View]]) -> Tensor:
        """Compute the same as `extract` in one batched call, the views too; what a GPU does."""
        stacked = torch.from_numpy(np.stack(images)).to(self.device, non_blocking=True)
        pixels = stacked.permute(0, 3, 1, 2).float() / 255
        turned = apply_views_batch(pixels, views)
        parts = [self.pool(self.extractor, part) for part in turned.split(VIEWS_PER_CALL["cuda"])]
        return torch.cat(parts).cpu().unflatten(0, (len(images), -1))

    @torch.no_grad()
    def extract_turned(self, turned: Sequence[NDArray[np.uint8]], *, compiled: bool) -> Tensor:
        """Compute the features of views, on a CPU.

        Args:
            turned: B arrays, uint8 (V, size, size, 3), the views of each image.
            compiled: Whether compiling the network would pay.

        Returns:
            (B, V, d) float32.
        """
        views: NDArray[np.uint8] = np.concatenate(turned)
        network = self._compile(None) if compiled else None
        if network is None:
            # NHWC bytes seen as NCHW are channels_last already.
            pixels = torch.from_numpy(views).permute(0, 3, 1, 2)
            features = torch.cat([self.pool(self.extractor, part.float() / 255) for part in pixels.split(self._batch)])
        else:
            features, _ = network([*views])
        return features.unflatten(0, (len(turned), -1))

    def _compile(self, cells: Describer | None) -> CompiledFeatures | None:
        """The compiled network, which is made when it is first wanted; None where torch is the engine."""
        key = None if cells is None else cells.key
        with self._compiling:
            if self.engine == "openvino" and key not in self._compiled:
                try:
                    self._compiled[key] = compile_features(
                        self.extractor,
                        self.size,
                        self.stages,
                        deviation=self.deviation,
                        describer=cells,
                        fingerprint=self._fingerprint,
                    )
                except (ImportError, OSError, RuntimeError) as error:
                    _log.warning("OpenVINO does not work here, torch is used (%s)", error)
                    self.engine = "torch"
            return self._compiled.get(key)

    def pool(self, extractor: Extractor, pixels: Tensor) -> Tensor:
        """Pool images, (B, 3, size, size) in [0, 1], to (B, d) features with an extractor, this one or a copy."""
        return pool_scales(extractor, pixels, self.scales, stages=self.stages, deviation=self.deviation)

    @torch.no_grad()
    def extract_with_cells(
        self, images: Sequence[NDArray[np.uint8]], cells: Describer, *, compiled: bool = True
    ) -> tuple[Tensor, list[Cells]]:
        """Compute the features of resized images as they are, and describe their cells, in one pass of the network.

        Args:
            images: B arrays, uint8 (size, size, 3).
            cells: Describes the cells.
            compiled: Whether compiling the network would pay.

        Returns:
            (B, 1, d) float32 on the CPU, and the B images' cells on the device.

        Raises:
            ValueError: If features are pooled from several scales, which takes several passes.
        """
        if self.scales != 1:
            raise ValueError("features of several scales do not come from one pass")
        network = self._compile(cells) if compiled else None
        if network is not None:
            features, grids = network(images)
            return features.unsqueeze(1), grids
        before_last = len(self.extractor.stage_channels)
        last = max(-2, *self.stages)
        parts, grids = [], []
        for start in range(0, len(images), self._batch):
            stacked = torch.from_numpy(np.stack(images[start : start + self._batch])).to(self.device)
            maps = self.extractor.forward_stages(stacked.permute(0, 3, 1, 2).float() / 255, last)
            parts.append(pool_maps([maps[self.extractor.place_of(stage)] for stage in self.stages], self.deviation))
            grids += cells.describe(maps[:before_last], self.size)
        return torch.cat(parts).cpu().unsqueeze(1), grids

    def prepare(
        self,
        source: ImageSource,
        views: ViewChoice,
        index: int = 0,
        name: str | None = None,
        cells: Describer | None = None,
        *,
        compute: bool = True,
    ) -> PreparedImage | Failure:
        """Do for an image what is done for each by itself; may be called from several threads at a time.

        Args:
            source: Path or array.
            views: As in `stream`.
            index: Place of the image in the input.
            name: What it is called in the results, instead of its path or place.
            cells: As in `stream`.
            compute: Whether on a CPU the network is one of these things; on a GPU it never is.
        """
        name = describe(source, index) if name is None else name
        try:
            image = load_image(source)
            cropped = image if self.region is None else self.region.crop(image)
        except ImageError as error:
            return Failure(name, str(error))
        chosen = views(index) if callable(views) else views
        pixels = resize(cropped, self.size)
        key = "" if self._cache is None else self._cache.key(pixels, self._description(chosen, cells))
        found = None if self._cache is None else self._cache.get(key, None if cells is None else cells.cells)
        prepared = PreparedImage(index, name, image.shape[1], image.shape[0], chosen, pixels, key=key, found=found)
        if found is not None or self.device.type != "cpu":
            return prepared
        prepared = replace(prepared, turned=apply_views(pixels, chosen))
        if not compute:
            return prepared
        [found] = self._compute([prepared], cells, compiled=True)
        return replace(prepared, turned=None, found=found)

    def finish(
        self,
        images: Sequence[PreparedImage | Failure],
        cells: Describer | None = None,
        *,
        several: bool = False,
    ) -> list[ImageFeatures | Failure]:
        """Do what is done for several images at once: what `prepare` left.

        Args:
            images: What `prepare` returned.
            cells: As for `prepare`.
            several: Whether they are some of many, so that compiling the network pays.
        """
        missing = [image for image in images if isinstance(image, PreparedImage) and image.found is None]
        compiled = several or sum(len(image.views) for image in missing) >= _WORTH_COMPILING
        computed = iter(self._compute(missing, cells, compiled=compiled) if missing else ())
        results: list[ImageFeatures | Failure] = []
        for image in images:
            if isinstance(image, Failure):
                results.append(image)
                continue
            found = next(computed) if image.found is None else image.found
            grids = None if found.cells is None else found.cells.to(self.device)
            results.append(
                ImageFeatures(image.index, image.source, image.width, image.height, found.features, image.pixels, grids)
            )
        return results

    def _compute(self, batch: Sequence[PreparedImage], cells: Describer | None, *, compiled: bool) -> list[CachedImage]:
        grids: Sequence[Cells | None] = [None] * len(batch)
        pixels = [image.pixels for image in batch]
        parts, first = [], 0
        if cells is not None and self.scales == 1 and all(image.views[0] == View() for image in batch):
            # Often the only view, so that one pass of the network does for all.
            features, grids = self.extract_with_cells(pixels, cells, compiled=compiled)
            parts, first = [features], 1
        elif cells is not None:
            grids = self._describe_cells(pixels, cells, compiled=compiled)
        if any(len(image.views) > first for image in batch):
            if self.device.type == "cpu":
                turned = [image.turned[first:] for image in batch if image.turned is not None]
                parts.append(self.extract_turned(turned, compiled=compiled))
            else:
                parts.append(self.extract_on_device(pixels, [image.views[first:] for image in batch]))
        features = torch.cat(parts, dim=1)
        computed = [CachedImage(of_image, grid) for of_image, grid in zip(features, grids, strict=True)]
        if self._cache is not None:
            for image, found in zip(batch, computed, strict=True):
                self._cache.put(image.key, found)
        return computed

    def _describe_cells(self, images: Sequence[NDArray[np.uint8]], cells: Describer, *, compiled: bool) -> list[Cells]:
        network = self._compile(cells) if compiled else None
        if network is None:
            return [self.describe(image, cells) for image in images]
        return network(images)[1]

    def _description(self, views: Sequence[View], cells: Describer | None) -> str:
        """All that features depend on beside the pixels."""
        parts = (
            self._fingerprint,
            type(self.extractor).__name__,
            self.scales,
            self.stages,
            self.deviation,
            str(self.dtype),
            self.device.type,
            tuple(views),
            None if cells is None else cells.key,
        )
        return repr(parts)


def _on_disk(shape: tuple[int, ...]) -> Tensor:
    """An array in a temporary file, which is gone once nothing refers to the array any more."""
    with tempfile.TemporaryFile(prefix="differnet-features-") as file:
        return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
