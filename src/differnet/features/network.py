"""From pixels to features and cells: the extractor with pooling and description, run by torch or by OpenVINO."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Hashable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.devices import has_fast_bfloat16
from differnet.compute.full_float32 import full_float32
from differnet.compute.transfer import to_device
from differnet.errors import SettingsError
from differnet.extractors import Extractor, compilable_names
from differnet.extractors.openvino_stages import can_compile
from differnet.extractors.rounding import round_as_bfloat16
from differnet.extractors.winograd import quickened
from differnet.features.describer import Cells, Describer
from differnet.features.openvino_features import CompiledFeatures, compile_features
from differnet.features.pooling import pool_maps, pool_scales
from differnet.installing import install_extra
from differnet.views import View, apply_views, apply_views_batch, resize

__all__ = ["VIEWS_PER_CALL", "Engine", "FeatureNetwork"]

_log = logging.getLogger(__name__)

Engine: TypeAlias = Literal["auto", "torch", "openvino"]
"""What runs the extractor on a CPU."""

# Views per call of the network: more take more memory and no less time on two cores.
VIEWS_PER_CALL = {"cpu": 4, "cuda": 64}
_GPU_BATCH = 256


class FeatureNetwork:
    """Computes the features of resized images and describes their cells.

    Args:
        extractor: A frozen extractor; it is moved to the device.
        size: Side of the images, in pixels, as their cells are described.
        view_size: Side that they are reduced to before views are made of them; None for that of the images.
        scales: Number of image sizes.
        device: Where the network runs; on a GPU the views are made there too, in one batched call.
        dtype: float32 or bfloat16, what the network computes in; features are float32 in either case. Hardware without
            bfloat16 computes in float32 and rounds, see `differnet.extractors.rounding`.
        stages: See `pool_scales`.
        deviation: See `pool_scales`.
        fingerprint: Of the extractor's weights; networks with the same share what is compiled.
        engine: As for `FeatureExtraction`.

    Attributes:
        features: d.
        engine: What it is that runs the network.

    Raises:
        SettingsError: If OpenVINO is asked for, and is not installed or cannot do this.
    """

    def __init__(
        self,
        extractor: Extractor,
        *,
        size: int,
        view_size: int | None = None,
        scales: int,
        device: torch.device | str,
        dtype: torch.dtype,
        stages: Sequence[int],
        deviation: bool,
        fingerprint: str,
        engine: Engine,
    ) -> None:
        self.size, self.scales = size, scales
        self.view_size = size if view_size is None else min(view_size, size)
        self.stages, self.deviation = tuple(stages), deviation
        self.device, self.dtype = torch.device(device), dtype
        self.fingerprint = fingerprint
        extractor = extractor.to(self.device)
        if dtype == torch.bfloat16 and not has_fast_bfloat16(self.device):
            round_as_bfloat16(extractor)
        else:
            extractor.set_precision(dtype)
        # Channels last is a third faster on a CPU, and what tensor cores want; float32 on a GPU does not use these.
        self._is_plain = self.device.type != "cpu" and dtype == torch.float32
        self._layout = torch.contiguous_format if self._is_plain else torch.channels_last
        self.extractor = extractor.to(memory_format=self._layout)  # type: ignore[call-overload]
        channels = (*extractor.stage_channels, extractor.channels)
        self.features = scales * sum(channels[stage] for stage in stages) * (2 if deviation else 1)
        self._batch = VIEWS_PER_CALL["cpu"] if self.device.type == "cpu" else _GPU_BATCH
        self.engine: Literal["torch", "openvino"] = "torch"
        able = self.device.type == "cpu" and dtype == torch.float32 and scales == 1 and can_compile(extractor)
        if engine == "openvino" and not able:
            raise SettingsError(
                f"OpenVINO cannot run this extractor: it must be installed ({install_extra('fast')}), and it runs "
                f"{', '.join(compilable_names())} at a single scale in float32 on a CPU; take engine='auto'."
            )
        if able and engine != "torch":
            self.engine = "openvino"
        self._compiled: dict[Hashable, CompiledFeatures] = {}
        self._compiling = threading.Lock()

    def quickened(self) -> FeatureNetwork:
        """One that computes the same features, but for rounding, in two thirds of the time, where that can be.

        For the many views of a training: its kernels take 60 MB. Scores stay with this one, by which thresholds are.
        """
        able = self.device.type == "cpu" and self.dtype == torch.float32 and self.engine == "torch"
        if not (able and self.extractor.gains_by_winograd):
            return self
        other = copy.copy(self)
        other.extractor = quickened(self.extractor)
        return other

    @property
    def identity(self) -> tuple[object, ...]:
        """All that features depend on beside pixels and views: what tells networks apart."""
        return (
            self.fingerprint,
            type(self.extractor).__name__,
            self.view_size,
            self.scales,
            self.stages,
            self.deviation,
            str(self.dtype),
            self.device.type,
        )

    @property
    def is_one_pass(self) -> bool:
        """Whether an image as it is passes the network once for its features and its cells: both are of one size."""
        return self.scales == 1 and self.view_size == self.size

    def compute(
        self,
        images: Sequence[NDArray[np.uint8]],
        views: Sequence[Sequence[View]],
        cells: Describer | None,
        *,
        turned: Sequence[NDArray[np.uint8] | None],
    ) -> tuple[Tensor, Sequence[Cells | None]]:
        """Compute the features of images by all their views, and describe their cells, in as few passes as can be.

        Args:
            images: B arrays, uint8 (size, size, 3).
            views: For each image its V views.
            cells: Describes the cells; None for none.
            turned: On a CPU, for each image its views, uint8 (V, view_size, view_size, 3); otherwise not used.

        Returns:
            (B, V, d) float32 on the CPU, and the B images' cells on the device.
        """
        grids: Sequence[Cells | None] = [None] * len(images)
        parts, first = [], 0
        # What is described in the size of the views.
        beside = cells if cells is None or (self.is_one_pass and cells.reduced is None) else cells.reduced
        if cells is not None:
            described: list[Cells] = []
            if beside is not None:
                plain = all(chosen[0] == View() for chosen in views)
                pairs = zip(images, turned, strict=True)
                reduced = [self.reduce(image) if not plain or of is None else of[0] for image, of in pairs]
                if plain and self.scales == 1:
                    # Often the only view, so that one pass of the network does for all.
                    features, described = self.extract_with_cells(reduced, beside)
                    parts, first = [features], 1
                else:
                    described = self._describe(reduced, beside, self.view_size)
            if beside is cells:
                grids = described
            else:
                grids = self._describe(images, cells, self.size)
                grids = grids if beside is None else cells.join(grids, described)
        if any(len(chosen) > first for chosen in views):
            if self.device.type == "cpu":
                rest = [each[first:] for each in turned if each is not None]
                parts.append(self.extract_turned(rest))
            else:
                parts.append(self.extract_on_device(images, [chosen[first:] for chosen in views]))
        return torch.cat(parts, dim=1), grids

    def reduce(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Reduce uint8 (size, size, 3) pixels to what views are made of, (view_size, view_size, 3)."""
        return pixels if self.view_size == self.size else resize(pixels, self.view_size)

    def turn(self, pixels: NDArray[np.uint8], views: Sequence[View]) -> NDArray[np.uint8]:
        """Make V views of uint8 (size, size, 3) pixels: uint8 (V, view_size, view_size, 3)."""
        return apply_views(self.reduce(pixels), views)

    def as_tensor(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Turn uint8 (size, size, 3) pixels into (1, 3, size, size) float32 in [0, 1] on the device."""
        # A copy, since the array may be read-only.
        return self._as_float(torch.tensor(pixels, device=self.device)[None])

    def _as_float(self, stacked: Tensor) -> Tensor:
        """Turn uint8 (B, size, size, 3) into (B, 3, size, size) float32 in [0, 1] on the device."""
        # NHWC bytes seen as NCHW are channels_last already.
        pixels = to_device(stacked, self.device).permute(0, 3, 1, 2).float() / 255
        return pixels.contiguous(memory_format=self._layout)

    def _in_full(self) -> AbstractContextManager[None]:
        """What the network is run in, so that float32 is what it says."""
        return full_float32() if self._is_plain else nullcontext()

    @torch.no_grad()
    def describe(self, pixels: NDArray[np.uint8], describer: Describer) -> Any:  # noqa: ANN401 - the describer's cells
        """Describe the cells of a resized image by torch, in a pass of the network of their own.

        Args:
            pixels: uint8 (size, size, 3).
            describer: Of the cells.

        Returns:
            The cells, on the device.
        """
        return self.describe_cells([pixels], describer, compiled=False)[0]

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
            turned = [self.turn(image, chosen) for image, chosen in zip(images, views, strict=True)]
            return self.extract_turned(turned)
        return self.extract_on_device(images, views)

    @torch.no_grad()
    def extract_on_device(self, images: Sequence[NDArray[np.uint8]], views: Sequence[Sequence[View]]) -> Tensor:
        """Compute the same as `extract` in one batched call, the views too; what a GPU does."""
        return self.extract_stacked(torch.from_numpy(np.stack([*map(self.reduce, images)])), views).cpu()

    @torch.no_grad()
    def extract_stacked(self, stacked: Tensor, views: Sequence[Sequence[View]]) -> Tensor:
        """Compute the same, and leave the features on the device; the processor waits for none of it.

        Args:
            stacked: uint8 (B, view_size, view_size, 3), best on the device already.
            views: For each image its V views.

        Returns:
            (B, V, d) float32 on the device.
        """
        turned = apply_views_batch(self._as_float(stacked), views)
        parts = [self.pool(self.extractor, part) for part in turned.split(VIEWS_PER_CALL["cuda"])]
        return torch.cat(parts).unflatten(0, (len(stacked), -1))

    @torch.no_grad()
    def extract_turned(self, turned: Sequence[NDArray[np.uint8]], *, compiled: bool = True) -> Tensor:
        """Compute the features of views, on a CPU.

        Args:
            turned: B arrays, uint8 (V, view_size, view_size, 3), the views of each image.
            compiled: Whether the network is to be compiled where it can be.

        Returns:
            (B, V, d) float32.
        """
        views: NDArray[np.uint8] = np.concatenate(turned)
        network = self._compile(None, self.view_size) if compiled else None
        if network is None:
            # NHWC bytes seen as NCHW are channels_last already.
            pixels = torch.from_numpy(views).permute(0, 3, 1, 2)
            features = torch.cat([self.pool(self.extractor, part.float() / 255) for part in pixels.split(self._batch)])
        else:
            features, _ = network([*views])
        return features.unflatten(0, (len(turned), -1))

    def _compile(self, cells: Describer | None, size: int) -> CompiledFeatures | None:
        """The compiled network, which is made when it is first wanted; None where torch is the engine."""
        key = (None if cells is None else cells.key, size)
        with self._compiling:
            if self.engine == "openvino" and key not in self._compiled:
                try:
                    self._compiled[key] = compile_features(
                        self.extractor,
                        size,
                        self.stages,
                        deviation=self.deviation,
                        describer=cells,
                        fingerprint=self.fingerprint,
                    )
                except (ImportError, OSError, RuntimeError) as error:
                    _log.warning("OpenVINO does not work here, torch is used (%s)", error)
                    self.engine = "torch"
            return self._compiled.get(key)

    def pool(self, extractor: Extractor, pixels: Tensor) -> Tensor:
        """Pool views, (B, 3, view_size, view_size) in [0, 1], to (B, d) with an extractor, this one or a copy."""
        with self._in_full():
            return pool_scales(extractor, pixels, self.scales, stages=self.stages, deviation=self.deviation)

    @torch.no_grad()
    def extract_with_cells(
        self, images: Sequence[NDArray[np.uint8]], cells: Describer, *, compiled: bool = True
    ) -> tuple[Tensor, list[Cells]]:
        """Compute the features of images as they are, and describe their cells, in one pass of the network.

        Args:
            images: B arrays, uint8 (view_size, view_size, 3).
            cells: Describes the cells.
            compiled: Whether the network is to be compiled where it can be.

        Returns:
            (B, 1, d) float32 on the CPU, and the B images' cells on the device.

        Raises:
            ValueError: If features are pooled from several sizes, which takes several passes.
        """
        if self.scales != 1:
            raise ValueError("features of several sizes do not come from one pass")
        network = self._compile(cells, self.view_size) if compiled else None
        if network is not None:
            features, grids = network(images)
            return features.unsqueeze(1), grids
        before_last = len(self.extractor.stage_channels)
        last = max(-2, *self.stages)
        parts, grids = [], []
        for start in range(0, len(images), self._batch):
            pixels = self._as_float(torch.from_numpy(np.stack(images[start : start + self._batch])))
            with self._in_full():
                maps = self.extractor.forward_stages(pixels, last)
            parts.append(pool_maps([maps[self.extractor.place_of(stage)] for stage in self.stages], self.deviation))
            grids += cells.describe(maps[:before_last], self.view_size)
        return torch.cat(parts).cpu().unsqueeze(1), grids

    def describe_cells(
        self, images: Sequence[NDArray[np.uint8]], cells: Describer, *, compiled: bool = True
    ) -> list[Cells]:
        """Describe the cells of resized images, in passes of the network of their own.

        Args:
            images: B arrays, uint8 (size, size, 3).
            cells: Describes the cells.
            compiled: Whether the network is to be compiled where it can be.
        """
        grids = self._describe(images, cells, self.size, compiled=compiled)
        if cells.reduced is None:
            return grids
        reduced = [*map(self.reduce, images)]
        return cells.join(grids, self._describe(reduced, cells.reduced, self.view_size, compiled=compiled))

    def _describe(
        self, images: Sequence[NDArray[np.uint8]], cells: Describer, size: int, *, compiled: bool = True
    ) -> list[Cells]:
        network = self._compile(cells, size) if compiled else None
        if network is not None:
            return network(images)[1]
        grids: list[Cells] = []
        for start in range(0, len(images), self._batch):
            pixels = self._as_float(torch.from_numpy(np.stack(images[start : start + self._batch])))
            with self._in_full(), torch.no_grad():
                grids += cells.describe(self.extractor.forward_stages(pixels), size)
        return grids
