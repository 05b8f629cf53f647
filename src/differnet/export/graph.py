"""A fitted model as one module: from the pixels of an image to score, p-value, margin, decision and map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from differnet.detector import DifferNet
from differnet.errors import NotFittedError, SettingsError
from differnet.export.judge import Judge
from differnet.export.precision import Precision, in_precision
from differnet.export.resize import PillowResize
from differnet.extractors.rounding import round_as_bfloat16
from differnet.features.describer import Describer
from differnet.features.pooling import pool_maps
from differnet.images.region_of_interest import NEUTRAL_RGB
from differnet.localization.localizer import display_scale
from differnet.localization.registry import build_method, exportable_methods
from differnet.scoring import CommonScale, hottest_cells
from differnet.views import Tiling, View, apply_view, fixed_views

__all__ = ["InspectionGraph"]

# Views per pass of the network, so that the memory that it takes does not grow with their number.
_BATCH = 8


class InspectionGraph(nn.Module):
    """All that a model does with an image, as a module that can be exported.

    Args:
        model: A fitted model.
        with_map: Whether to compute the heat map too.
        precision: What the extractor computes in; bfloat16 is rounded to, in float32.
        threshold_input: Whether the file is to take another threshold, see `differnet.export.threshold_input`.

    Raises:
        NotFittedError: If the model has learnt nothing.
        SettingsError: If its method has no maps in a graph for inference, as that by gradient; if another threshold is
            to be taken where there is none.
    """

    def __init__(
        self,
        model: DifferNet,
        *,
        with_map: bool = False,
        precision: Precision = "float32",
        threshold_input: bool = False,
    ) -> None:
        super().__init__()
        if threshold_input and model.calibration is None:
            raise SettingsError(f"{model.uncalibrated_reason} Or export without --threshold-input.")
        self.threshold_input = threshold_input
        method = build_method(model.settings.localization)
        if with_map and not method.can_export:
            raise SettingsError(
                f"Maps by {method.name} cannot be exported: export without --map, or train a model with "
                f"localization.method={' or '.join(exportable_methods())}."
            )
        model = in_precision(model, "float32")
        extraction = model.extraction.network
        size = extraction.size
        self._extractor = extraction.extractor
        self.precision = precision
        if precision == "bfloat16":
            round_as_bfloat16(self._extractor)
        self._scales = extraction.scales
        self._stages = extraction.stages
        self._deviation = extraction.deviation
        self._flow = model.flow.eval()
        self._aggregation = model.settings.scoring.aggregation
        self._hottest = model.settings.scoring.hottest
        self._local, self._scale = model.fitted.local, model.fitted.scale
        self.region = model.region
        box = None if self.region is None else (self.region.box[3], self.region.box[2])
        tiling = model.extraction.tiling
        self._resize = PillowResize(size if tiling is None else (tiling.height, tiling.width), box)
        self._tiles = None if tiling is None else _Tiles(tiling)
        self._crop = None if self.region is None else _Crop(self.region.mask, self.region.box)
        self.views = fixed_views(model.settings.views)
        self._views = _Views(self.views, extraction.view_size)
        self._reduce = None if extraction.view_size == size else PillowResize(extraction.view_size, (size, size))
        self.judge = None if model.calibration is None else Judge(model.calibration)
        self._describer: Describer | None = None
        self._heat: nn.Module | None = None
        self.scale_is_fixed = False
        if self._scale is not None or with_map:
            if self._local is None:
                raise NotFittedError("The model has no cells of good parts; train it again.")
            self._describer = method.describer(self._extractor)
        if with_map and self._local is not None:
            self.scale_is_fixed = bool(len(model.fitted.peaks)) and model.calibration is not None
            scale = None
            if self.scale_is_fixed and model.calibration is not None:
                scale = display_scale(model.fitted.peaks.double().numpy(), model.calibration.false_reject_rate)
            _, blank_cells = self._features(torch.zeros(3, size, size))
            blank = self._local.anomaly(blank_cells)
            # Methods of one's own need not know of tiles.
            tiled = {} if tiling is None else {"tiling": tiling}
            self._heat = method.heat_graph(blank.shape[-1], size, scale, self.region, **tiled)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what `forward` returns, in order."""
        judged = () if self.judge is None else ("p_value", "margin", "decision")
        return ("score", *judged, *(() if self._heat is None else ("map",)))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Inspect a uint8 (height, width, 3) RGB image."""
        pixels = self._resize(image if self._crop is None else self._crop(image))
        if self._tiles is not None:
            pixels = self._tiles(pixels)
        features, cells = self._features(pixels)
        score = self._aggregate(self._flow.energy(self._scored(features)))
        anomaly = None
        if cells is not None and self._local is not None:
            anomaly = self._local.anomaly(cells)
        if self._scale is not None and anomaly is not None:
            planes = anomaly.reshape(len(self._scale.usual) - 1, -1)
            local = planes.topk(hottest_cells(self._hottest, planes.shape[1])).values.mean(dim=1)
            score = _joined(score, local, self._scale)
        results = [score]
        if self.judge is not None:
            results += self.judge(score)
        if self._heat is not None and anomaly is not None:
            results.append(self._heat(anomaly, image))
        return tuple(results)

    def _features(self, pixels: Tensor) -> tuple[Tensor, Any]:
        """(V, d) features of the views, and the cells of the image as it is, which is the first view."""
        whole = self._describer
        cells, beside = None, None if whole is None else whole.reduced
        if self._reduce is not None:
            if whole is not None:
                cells = self._describe(whole, self._network(pixels[None]), pixels.shape[-1])
            pixels = self._reduce(pixels.permute(1, 2, 0).contiguous())
        features = []
        for start in range(0, len(self.views), _BATCH):
            views = self._views(pixels, start, _BATCH)
            pooled = []
            for scale in range(self._scales):
                described = [each for each in (whole if cells is None else None, beside) if each is not None]
                described = described if start == scale == 0 else []
                maps = self._network(_halved(views, scale), bool(described))
                chosen = [maps[self._extractor.place_of(stage)] for stage in self._stages]
                pooled.append(pool_maps(chosen, self._deviation))
                for describer in described:
                    own = self._describe(describer, [of_stage[:1] for of_stage in maps], pixels.shape[-1])
                    cells = own if cells is None or whole is None else whole.join([cells], [own])[0]
            features.append(torch.cat(pooled, dim=1))
        return torch.cat(features), cells

    def _network(self, levels: Tensor, described: bool = True) -> list[Tensor]:
        last = max(-2, *self._stages) if described else max(self._stages)
        return self._extractor.forward_stages(levels / 255, last)

    def _describe(self, describer: Describer, maps: Sequence[Tensor], size: int) -> Any:  # noqa: ANN401
        return describer.describe(maps[: len(self._extractor.stage_channels)], size)[0]

    def _scored(self, features: Tensor) -> Tensor:
        """The views' features, or their mean where that is what is scored."""
        return features.mean(0, keepdim=True) if self._aggregation == "features" else features

    def _aggregate(self, view_scores: Tensor) -> Tensor:
        """What `differnet.scoring.aggregate` does, by operations that every runtime has."""
        count = len(self.views)
        if self._aggregation != "median" or count == 1:
            return view_scores.mean()
        upper = view_scores.topk(count // 2 + 1).values
        return upper[-1] if count % 2 else (upper[-1] + upper[-2]) / 2


def _joined(flow: Tensor, local: Tensor, scale: CommonScale) -> Tensor:
    """What `CommonScale.join` does, written so that no runtime overflows."""
    (mean, deviation), *planes = scale.usual.tolist()
    of_flow, *weights = scale.weights
    joined = (flow.double() - mean) / deviation
    if scale.rule != "soft-maximum":
        joined = of_flow * _evidence(joined)
    for place, (local_mean, local_deviation) in enumerate(planes):
        standardised = (local[place].double() - local_mean) / local_deviation
        if scale.rule == "soft-maximum":
            beyond = torch.log(1.0 + torch.exp(-(joined - standardised).abs()))
            joined = torch.maximum(joined, standardised) + beyond
        else:
            joined = joined + weights[place] * _evidence(standardised)
    return joined.float()


def _evidence(standardised: Tensor) -> Tensor:
    positive = standardised.clamp_min(0.0) + torch.log(1.0 + torch.exp(-standardised.abs()))
    return torch.log(1.0 + positive * positive)


def _halved(images: Tensor, times: int) -> Tensor:
    """What `functional.interpolate` picks for each scale, by constant places, since runtimes round them differently."""
    if times == 0:
        return images
    size = images.shape[-1]
    places = functional.interpolate(torch.arange(size, dtype=torch.float32)[None, None], size=size >> times)
    chosen = places.flatten().to(torch.int64)
    return images.index_select(2, chosen).index_select(3, chosen)


class _Crop(nn.Module):
    """What `RegionOfInterest.crop` does."""

    _mask: Tensor
    _neutral: Tensor

    def __init__(self, mask: np.ndarray, box: tuple[int, int, int, int]) -> None:
        super().__init__()
        x, y, width, height = box
        self._window = (slice(y, y + height), slice(x, x + width))
        inside = mask[self._window]
        self._whole = bool(inside.all())
        self.register_buffer("_mask", torch.from_numpy(inside.copy()).unsqueeze(2))
        self.register_buffer("_neutral", torch.tensor(NEUTRAL_RGB, dtype=torch.uint8))

    def forward(self, image: Tensor) -> Tensor:
        """Cut the box out of a uint8 (height, width, 3) image, grey outside the mask."""
        rows, columns = self._window
        crop = image[rows, columns].contiguous()
        return crop if self._whole else torch.where(self._mask, crop, self._neutral)


class _Tiles(nn.Module):
    """What `Tiling.lay` does."""

    def __init__(self, tiling: Tiling) -> None:
        super().__init__()
        self._tiling = tiling
        for tile, (_, lines) in enumerate(tiling.lines):
            self.register_buffer(f"_lines_{tile}", torch.from_numpy(lines))

    def forward(self, image: Tensor) -> Tensor:
        """Make the (3, size, size) square of a resized image (3, height, width)."""
        tiling = self._tiling
        strip = image if tiling.wide else image.transpose(1, 2)
        tiles = [
            strip[:, :, start : start + tiling.size].index_select(1, getattr(self, f"_lines_{tile}"))
            for tile, start in enumerate(tiling.starts)
        ]
        square = torch.cat(tiles, dim=1)
        return square if tiling.wide else square.transpose(1, 2).contiguous()


class _Views(nn.Module):
    """What `apply_views` does: each view takes every pixel from one place of the image, or black."""

    def __init__(self, views: Sequence[View], size: int) -> None:
        super().__init__()
        self._size = size
        self._turned = [view != View() for view in views]
        for i, view in enumerate(views):
            if self._turned[i]:
                self.register_buffer(f"_places{i}", torch.from_numpy(_places(view, size)))

    def forward(self, pixels: Tensor, start: int, count: int) -> Tensor:
        """Make some of the views of (3, size, size) pixels, (count, 3, size, size)."""
        # One pixel more, black, for what comes from outside.
        flat = functional.pad(pixels.flatten(1), (0, 1))
        views = []
        for i, turned in enumerate(self._turned[start : start + count], start=start):
            places = getattr(self, f"_places{i}") if turned else None
            views.append(pixels if places is None else flat.index_select(1, places).view_as(pixels))
        return torch.stack(views)


def _places(view: View, size: int) -> np.ndarray:
    """Where each pixel of a view comes from: int32 (size * size,), ``size * size`` for outside.

    Found by applying the view to images that hold the digits of the places, counted from 1, since 0 means outside.
    """
    numbers = np.arange(1, size * size + 1, dtype=np.int32).reshape(size, size, 1)
    found = np.zeros((size, size), np.int32)
    for shift in (0, 8, 16, 24):
        digits = np.repeat((numbers >> shift & 0xFF).astype(np.uint8), 3, axis=2)
        found |= apply_view(digits, view)[:, :, 0].astype(np.int32) << shift
    return np.where(found == 0, size * size, found - 1).astype(np.int32).ravel()
