"""The stages of scoring an image, one after the other: the time of each, and its share of what the machine can do."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from differnet.bench.ceilings import synchronize
from differnet.bench.results import Ceilings, Stage, StageReport
from differnet.detector import DifferNet
from differnet.errors import ImageError
from differnet.features import VIEWS_PER_CALL, VIEWS_PER_GROUP
from differnet.features.describer import Cells, Describer
from differnet.images import load_image
from differnet.images.failure import Failure
from differnet.scoring import local_scores, score_features
from differnet.views import View, apply_views_batch, fixed_views, resize

__all__ = ["measure_stages", "seconds_per_image"]

_GIGA = 1e9

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Row:
    """Totals over all images."""

    name: str
    seconds: float
    operations: int
    traffic: float
    dtype: torch.dtype


class _Clock:
    """Times stages, and counts their operations."""

    def __init__(self, device: torch.device, repetitions: int) -> None:
        self._device = device
        self._repetitions = repetitions
        self._rows: list[_Row] = []

    def __call__(
        self,
        name: str,
        work: Callable[[], _Result],
        traffic: Callable[[_Result], float],
        dtype: torch.dtype = torch.float32,
        counted: Callable[[], object] | None = None,
    ) -> _Result:
        """Measure a stage of all images and return what it gave.

        Args:
            name: Of the stage.
            work: The stage.
            traffic: From what the stage gave to the least bytes that it moves.
            dtype: What its products are computed in.
            counted: The same by torch, whose operations are counted where the work itself is another engine's.
        """
        with FlopCounterMode(display=False) as counter:
            result = work()
            if counted is not None:
                counted()
        seconds = []
        for _ in range(self._repetitions):
            synchronize(self._device)
            started = time.perf_counter()
            work()
            synchronize(self._device)
            seconds.append(time.perf_counter() - started)
        self._rows.append(_Row(name, statistics.median(seconds), counter.get_total_flops(), traffic(result), dtype))
        return result

    def stages(self, images: int, ceilings: Ceilings) -> tuple[Stage, ...]:
        """What was measured, for one of so many images."""
        total = sum(row.seconds for row in self._rows)
        stages = []
        for row in self._rows:
            product = ceilings.bfloat16 if row.dtype == torch.bfloat16 else ceilings.float32
            least = max(row.operations / (product.gflops * _GIGA), row.traffic / (ceilings.copy_gbytes * _GIGA))
            stages.append(
                Stage(
                    name=row.name,
                    milliseconds=1e3 * row.seconds / images,
                    share=row.seconds / total,
                    gflop=row.operations / images / _GIGA,
                    gflops=row.operations / row.seconds / _GIGA,
                    megabytes=row.traffic / images / 1e6,
                    ceiling_share=least / row.seconds,
                )
            )
        return tuple(stages)


@torch.no_grad()
def measure_stages(model: DifferNet, paths: Sequence[Path], ceilings: Ceilings, repetitions: int) -> StageReport:
    """Measure what scoring images is made of.

    Args:
        model: A fitted model.
        paths: Images of the model; every stage does all of them.
        ceilings: The best rates of the model's device.
        repetitions: Medians are over so many, after one that does not count.

    Raises:
        ImageError: If an image cannot be read.
    """
    extraction, settings, flow = model.extraction.network, model.settings, model.flow
    views = fixed_views(settings.views)
    clock = _Clock(model.device, repetitions)

    decoded = clock("decode", lambda: [_decode(model, path) for path in paths], _bytes)
    resized = clock(
        "resize",
        lambda: [resize(image, extraction.size, model.extraction.tiling) for image in decoded],
        # Images of that size already are left as they are.
        lambda made: sum(_bytes(pair) for pair in zip(decoded, made, strict=True) if pair[0] is not pair[1]),
    )
    network, weights = extraction.extractor, _bytes(extraction.extractor.state_dict().values())
    describer = model.inspection.localizer.describer
    # One pass of the network gives both.
    once = describer is not None and describer.reduced is None and extraction.is_one_pass
    at_once = once and settings.scoring.local and tuple(views) == (View(),)
    grids: list[Cells] | None = None

    def by_torch(work: Callable[[], object]) -> Callable[[], object] | None:
        return None if extraction.engine == "torch" else work

    if model.device.type == "cpu":
        turned = clock(
            "views",
            lambda: [extraction.turn(image, views) for image in resized],
            lambda made: _bytes(resized) + _bytes(made),
        )
        if at_once and describer is not None:
            features, grids = clock(
                "extract, cells",
                lambda: extraction.extract_with_cells(resized, describer),
                lambda made: _bytes(resized) + _bytes([made[0]]) + _cell_bytes(made[1]) + len(resized) * weights,
                extraction.dtype,
                by_torch(lambda: extraction.extract_with_cells(resized, describer, compiled=False)),
            )
        else:
            features = clock(
                "extract",
                lambda: extraction.extract_turned(turned, compiled=True),
                lambda made: _bytes(turned) + _bytes([made]) + len(turned) * weights,
                extraction.dtype,
                by_torch(lambda: extraction.extract_turned(turned, compiled=False)),
            )
    else:
        whole = _as_tensor(np.stack([*map(extraction.reduce, resized)]), model.device).float() / 255
        batch = clock(
            "views",
            lambda: apply_views_batch(whole, [views] * len(whole)),
            lambda made: _bytes([whole, made]),
        )
        parts = batch.split(VIEWS_PER_CALL["cuda"])
        features = clock(
            "extract",
            lambda: torch.cat([extraction.pool(network, part).cpu() for part in parts]),
            lambda made: _bytes([batch, made]) + len(parts) * weights,
            extraction.dtype,
        ).unflatten(0, (len(paths), -1))
    if settings.scoring.local and describer is not None:
        if grids is None:
            grids = _measure_cells(model, describer, clock, resized, by_torch, at_once=at_once)
        _measure_local(model, clock, grids, by_torch)
    groups = features.split(max(1, VIEWS_PER_GROUP // len(views)))
    clock(
        "flow",
        lambda: [score_features(flow, group, settings.scoring.aggregation) for group in groups],
        lambda _: _bytes([features]) + len(groups) * _bytes(flow.state_dict().values()),
    )
    stages = clock.stages(len(paths), ceilings)
    return StageReport(
        stages=stages,
        images=len(paths),
        views=len(views),
        precision=str(extraction.dtype).removeprefix("torch."),
        sum_milliseconds=sum(stage.milliseconds for stage in stages),
        whole_milliseconds=1e3 * seconds_per_image(model, paths, repetitions),
    )


def _measure_cells(
    model: DifferNet,
    describer: Describer,
    clock: _Clock,
    resized: Sequence[NDArray[np.uint8]],
    by_torch: Callable[[Callable[[], object]], Callable[[], object] | None],
    *,
    at_once: bool,
) -> list[Cells]:
    """Describing the cells of images, where that is not a part of another stage."""
    extraction = model.extraction.network
    network = extraction.extractor
    if at_once:
        parts = _as_tensor(np.stack(resized), model.device).split(VIEWS_PER_CALL[model.device.type])
        # The pass of the network that gives the features gives the cells' maps too, so that it is not paid again.
        before_last = len(network.stage_channels)
        maps = [network.forward_stages(_as_float(part))[:before_last] for part in parts]
        return clock(
            "cells",
            lambda: [grid for of_part in maps for grid in describer.describe(of_part, extraction.size)],
            lambda made: sum(_bytes(of_part) for of_part in maps) + _cell_bytes(made),
        )
    return clock(
        "cells",
        lambda: extraction.describe_cells(resized, describer),
        lambda made: _bytes(resized) + len(resized) * _bytes(network.state_dict().values()) + _cell_bytes(made),
        extraction.dtype,
        by_torch(lambda: extraction.describe_cells(resized, describer, compiled=False)),
    )


def _measure_local(
    model: DifferNet,
    clock: _Clock,
    grids: Sequence[Cells],
    by_torch: Callable[[Callable[[], object]], Callable[[], object] | None],
) -> None:
    """Comparing the cells of images with good ones."""
    localizer, local = model.inspection.localizer, model.fitted.local
    if local is None:
        return
    localizer.compile(grids[0])
    clock(
        "local model",
        lambda: [local_scores(localizer.anomaly(grid), model.settings.scoring.hottest) for grid in grids],
        lambda made: len(made) * _bytes(local.state().values()) + _cell_bytes(grids),
        counted=by_torch(lambda: [local.anomaly(grid) for grid in grids]),
    )


def seconds_per_image(model: DifferNet, paths: Sequence[Path], repetitions: int) -> float:
    """Time scoring as it is done, images being read while the network computes; median, after one unmeasured run.

    Raises:
        ImageError: If an image cannot be read.
    """
    seconds = []
    for repetition in range(repetitions + 1):
        started = time.perf_counter()
        for result in model.inspect_stream(paths, all_views=True):
            if isinstance(result, Failure):
                raise ImageError(result.reason)
        if repetition:
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) / len(paths)


def _decode(model: DifferNet, path: Path) -> NDArray[np.uint8]:
    image = load_image(path)
    return image if model.region is None else model.region.crop(image)


def _as_tensor(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    # NHWC bytes seen as NCHW are channels_last already.
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2)


def _as_float(pixels: Tensor) -> Tensor:
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels


def _bytes(values: Iterable[Tensor | NDArray[np.uint8]]) -> int:
    return sum(value.nbytes for value in values)


def _cell_bytes(grids: Iterable[Cells]) -> int:
    return sum(_bytes(grid.tensors().values()) for grid in grids)
