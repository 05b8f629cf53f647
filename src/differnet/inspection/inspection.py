"""From images to verdicts by a fitted model: features, score, decision, and no more views than settle it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from differnet.features import FeatureExtraction, ImageFeatures, PreparedImage
from differnet.images import ImageSource
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict, give_verdict
from differnet.localization.localizer import Localizer
from differnet.model_file.fitted_model import FittedModel
from differnet.scoring import local_score, score_features
from differnet.scoring.sequential import SequentialTest, spread_out
from differnet.views import View, fixed_views

__all__ = ["Inspected", "Inspection", "Prepared"]


@dataclass(frozen=True)
class Prepared:
    """What `Inspection.prepare` does for an image.

    Attributes:
        image: Read, resized, and on a CPU through the network.
        anomaly: Its local anomaly, where the score counts it and that is known.
        seconds: That it took.
    """

    image: PreparedImage
    anomaly: Tensor | None
    seconds: float


class Inspected(NamedTuple):
    """An image on its way to its verdict.

    Attributes:
        image: Its features, or why there are none.
        clock: Tells the milliseconds that it took so far, with its share of what several took together.
        flow_score: What the flow says of its views, (1,) float32; None if it was not asked.
    """

    image: ImageFeatures | Failure
    clock: Callable[[], float]
    flow_score: Tensor | None


class _Way(NamedTuple):
    """All views, those taken at first, and, where they may suffice, who says so."""

    views: Sequence[View]
    first: Sequence[View]
    sequential: SequentialTest | None


class Inspection:
    """Gives the verdicts of a fitted model; it only reads what it is given, and may be made anew at any time.

    Args:
        model: What was learnt.
        extraction: The path from images to features.
        localizer: Describes cells, and compares them with good ones; None makes one.
    """

    def __init__(self, model: FittedModel, extraction: FeatureExtraction, localizer: Localizer | None = None) -> None:
        settings = model.settings
        self.model = model
        self._scoring = settings.scoring
        self._views = fixed_views(settings.views)
        self._extraction, self._flow = extraction, model.flow
        self._scale, self._calibration, self._model_id = model.scale, model.calibration, model.manifest.model_id
        self.localizer = localizer or Localizer(
            extraction,
            self._views,
            settings.localization,
            flow=model.flow,
            local=model.local,
            region=model.region,
        )

    def stream(self, images: Iterable[ImageSource], *, all_views: bool = False) -> Iterator[Verdict | Failure]:
        """Give the verdicts on images in their order, see `DifferNet.inspect_stream`."""
        way = self._way(all_views)
        at_once = way.sequential is None
        for inspected in self.features(
            images, way.first, described=self._scale is not None, scored=at_once, side_by_side=at_once
        ):
            yield self._judge(inspected, way)

    def prepare(self, image: ImageSource) -> Prepared | Failure:
        """Do for an image what is done for each by itself, see `DifferNet.prepare`."""
        started = time.perf_counter()
        cells = None if self._scale is None else self.localizer.describer
        prepared = self._extraction.prepare(image, self._way().first, cells=cells)
        if isinstance(prepared, Failure):
            return prepared
        known = None if prepared.found is None else prepared.found.cells
        anomaly = None if known is None else self.localizer.anomaly(known)
        return Prepared(prepared, anomaly, time.perf_counter() - started)

    def judge_prepared(self, images: Sequence[Prepared | Failure]) -> list[Verdict | Failure]:
        """Give the verdicts on prepared images, see `DifferNet.inspect_prepared`."""
        if not images:
            return []
        way, started = self._way(), time.perf_counter()
        group = self._extraction.finish(
            [each if isinstance(each, Failure) else each.image for each in images],
            None if self._scale is None else self.localizer.describer,
        )
        before = [0.0 if isinstance(each, Failure) else each.seconds for each in images]
        anomalies = [None if isinstance(each, Failure) else each.anomaly for each in images]
        scored = self._scored(group, started, before, scored=way.sequential is None)
        return [self._judge(inspected, way, anomaly) for inspected, anomaly in zip(scored, anomalies, strict=True)]

    def features(
        self,
        images: Iterable[ImageSource],
        views: Sequence[View] = (),
        *,
        described: bool,
        scored: bool = True,
        side_by_side: bool = True,
    ) -> Iterator[Inspected]:
        """Compute the features of images, in their order.

        Args:
            images: Paths and arrays; consumed as needed.
            views: Of each; none for all fixed ones.
            described: Whether their cells are wanted too.
            scored: Whether the flow is asked at once; it reads its weights from memory once for several images.
            side_by_side: See `FeatureExtraction.stream_groups`.
        """
        started = time.perf_counter()
        cells = self.localizer.describer if described else None
        chosen = views or self._views
        for group in self._extraction.stream_groups(images, chosen, cells=cells, side_by_side=side_by_side):
            yield from self._scored(group, started, [0.0] * len(group), scored=scored)
            started = time.perf_counter()

    def verdict(
        self,
        image: ImageFeatures,
        milliseconds: float,
        anomaly: Tensor | None = None,
        flow_score: Tensor | None = None,
    ) -> Verdict:
        """Give the verdict on an image by the views that it has.

        Args:
            image: Its features.
            milliseconds: That it took.
            anomaly: Its local anomaly, if that is known.
            flow_score: What the flow says of it, if that is known.
        """
        return give_verdict(
            self.score(image, anomaly, flow_score),
            self._calibration,
            source=image.source,
            width=image.width,
            height=image.height,
            model_id=self._model_id,
            milliseconds=milliseconds,
            views=len(image.features),
        )

    def score(self, image: ImageFeatures, anomaly: Tensor | None = None, flow_score: Tensor | None = None) -> float:
        """Score an image by the views that it has; the arguments are those of `verdict`."""
        score = flow_score
        if score is None:
            score = score_features(self._flow, image.features.unsqueeze(0), self._scoring.aggregation)
        anomaly = self._anomaly(image) if anomaly is None else anomaly
        if self._scale is None or anomaly is None:
            return score.item()
        return self._scale.join(score, torch.tensor([local_score(anomaly, self._scoring.hottest)])).item()

    def _way(self, all_views: bool = False) -> _Way:
        views, chosen = self._views, self._scoring
        if self._calibration is None or len(views) == 1 or chosen.error_probability == 0.0 or all_views:
            return _Way(views, views, None)
        sequential = SequentialTest(len(views), chosen.error_probability, chosen.aggregation)
        views = tuple(spread_out(views))
        return _Way(views, views[: sequential.group], sequential)

    def _scored(
        self, group: Sequence[ImageFeatures | Failure], started: float, before: Sequence[float], *, scored: bool
    ) -> Iterator[Inspected]:
        features = [image.features for image in group if isinstance(image, ImageFeatures)]
        scores: Iterator[Tensor] = iter(())
        if features and scored:
            scores = iter(score_features(self._flow, torch.stack(features), self._scoring.aggregation).split(1))
        share = (time.perf_counter() - started) / len(group)
        for image, seconds in zip(group, before, strict=True):
            clock = partial(_milliseconds_since, time.perf_counter() - share - seconds)
            yield Inspected(image, clock, None if isinstance(image, Failure) else next(scores, None))

    def _judge(self, inspected: Inspected, way: _Way, anomaly: Tensor | None = None) -> Verdict | Failure:
        image, clock, flow_score = inspected
        if isinstance(image, Failure):
            return image
        if way.sequential is None:
            return self.verdict(image, clock(), anomaly, flow_score)
        anomaly = self._anomaly(image) if anomaly is None else anomaly
        settled = self._take_views(image, anomaly, way.sequential, way.views)
        return self.verdict(settled, clock(), anomaly)

    def _take_views(
        self, image: ImageFeatures, anomaly: Tensor | None, sequential: SequentialTest, views: Sequence[View]
    ) -> ImageFeatures:
        """Add groups of views to an image's first ones until the decision is settled."""
        cuts = [] if self._calibration is None else self._calibration.cuts
        if self._scale is not None and anomaly is not None:
            local = local_score(anomaly, self._scoring.hottest)
            cuts = [self._scale.flow_cut(cut, local) for cut in cuts]
        features = image.features
        while True:
            with torch.no_grad():
                scores = self._flow.energy(features.to(self._extraction.device)).cpu()
            if all(sequential.settled(scores, cut) for cut in cuts if cut > -math.inf):
                return replace(image, features=features)
            group = views[len(features) : len(features) + sequential.group]
            features = torch.cat([features, self._extraction.extract([image.pixels], [group])[0]])

    def _anomaly(self, image: ImageFeatures) -> Tensor | None:
        """The local anomaly of an image's cells, for models whose score counts it."""
        if self._scale is None:
            return None
        if image.cells is None:  # a map by another method was asked for; the verdict is the model's all the same
            return self.localizer.anomaly_of(image.pixels)
        return self.localizer.anomaly(image.cells)


def _milliseconds_since(start: float) -> float:
    return round(1000 * (time.perf_counter() - start), 3)
