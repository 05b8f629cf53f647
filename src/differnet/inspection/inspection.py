"""From images to verdicts by a fitted model: features, score, decision, and no more views than settle it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from differnet.features import VIEWS_PER_GPU_GROUP, VIEWS_PER_GROUP, FeatureExtraction, Sample
from differnet.images import ImageSource
from differnet.images.failure import Failure
from differnet.inspection.drift import DriftMonitor
from differnet.inspection.verdict import Verdict, give_verdict
from differnet.localization.localizer import Localizer
from differnet.model_file.fitted_model import FittedModel
from differnet.scoring import aggregate, local_scores, score_features
from differnet.scoring.sequential import SequentialTest, spread_out
from differnet.views import View, fixed_views

__all__ = ["Inspection"]


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
        monitor: Takes the images that are judged; None where nobody wants to know.
    """

    def __init__(
        self,
        model: FittedModel,
        extraction: FeatureExtraction,
        localizer: Localizer | None = None,
        monitor: DriftMonitor | None = None,
    ) -> None:
        settings = model.settings
        self.model, self._monitor = model, monitor
        self._scoring = settings.scoring
        self._views = fixed_views(settings.views)
        self._extraction, self._flow = extraction, model.flow
        self._scale, self._calibration, self._model_id = model.scale, model.calibration, model.manifest.model_id
        self._seen = model.manifest.training.seen
        self.localizer = localizer or Localizer(
            extraction,
            self._views,
            settings.localization,
            flow=model.flow,
            local=model.local,
            region=model.region,
            compile_at_once=True,
        )

    def stream(
        self,
        images: Iterable[ImageSource],
        *,
        all_views: bool = False,
        visit: Callable[[Sample], None] = lambda sample: None,
    ) -> Iterator[Verdict | Failure]:
        """Give the verdicts on images in their order, see `DifferNet.inspect_stream`.

        Args:
            images: Paths and arrays; consumed as needed.
            all_views: Score by all views.
            visit: Called with what is known of every image, once it is judged.
        """
        way = self._way(all_views)
        at_once = way.sequential is None
        for sample in self.samples(
            images, way.first, described=self._scale is not None, scored=at_once, side_by_side=at_once
        ):
            verdict = self._judge(sample, way)
            if isinstance(sample, Sample):
                visit(sample)
            yield verdict

    def prepare(self, image: ImageSource) -> Sample | Failure:
        """Do for an image what is done for each by itself, see `DifferNet.prepare`."""
        started = time.perf_counter()
        cells = None if self._scale is None else self.localizer.describer
        sample = self._extraction.prepare(image, self._way().first, cells=cells)
        if isinstance(sample, Sample):
            self._compare(sample)
            sample.clock.seconds = time.perf_counter() - started
        return sample

    def judge_prepared(self, samples: Sequence[Sample | Failure]) -> list[Verdict | Failure]:
        """Give the verdicts on prepared images, see `DifferNet.inspect_prepared`."""
        if not samples:
            return []
        way, started = self._way(), time.perf_counter()
        group = self._extraction.finish(samples, None if self._scale is None else self.localizer.describer)
        return [self._judge(sample, way) for sample in self._score_group(group, started, way.sequential is None)]

    def samples(
        self,
        images: Iterable[ImageSource],
        views: Sequence[View] = (),
        *,
        described: bool,
        scored: bool = True,
        side_by_side: bool = True,
        with_images: bool = False,
    ) -> Iterator[Sample | Failure]:
        """Compute the features of images, in their order.

        Args:
            images: Paths and arrays; consumed as needed.
            views: Of each; none for all fixed ones.
            described: Whether their cells are wanted too.
            scored: Whether the flow is asked at once; it reads its weights from memory once for several images.
            side_by_side: See `FeatureExtraction.stream_groups`.
            with_images: Whether the originals are kept.
        """
        started = time.perf_counter()
        cells = self.localizer.describer if described else None
        for group in self._extraction.stream_groups(
            images,
            views or self._views,
            cells=cells,
            side_by_side=side_by_side,
            with_images=with_images,
            complete=self._compare,
        ):
            yield from self._score_group(group, started, scored)
            started = time.perf_counter()

    def verdict(self, sample: Sample) -> Verdict:
        """Give the verdict on an image by the views that it has."""
        return self._verdict(sample, self.score(sample))

    def _verdict(self, sample: Sample, score: float) -> Verdict:
        return give_verdict(
            score,
            self._calibration,
            source=sample.source,
            width=sample.width,
            height=sample.height,
            model_id=self._model_id,
            milliseconds=sample.clock.milliseconds,
            views=len(sample.features),
            unlike=self.unlike(sample),
        )

    def unlike(self, sample: Sample) -> str | None:
        """What an image has unlike the training images, in words; None if nothing, or nothing is known of these."""
        if self._seen is None:
            return None
        return self._seen.unlike(sample.width, sample.height, sample.depth, sample.pages)

    def score(self, sample: Sample) -> float:
        """Score an image by the views that it has."""
        if sample.flow_score is None and not len(sample.energies):
            self._ask_flow([sample])
        if sample.flow_score is None:
            self._evaluate(sample)
            sample.flow_score = aggregate(sample.energies.unsqueeze(0), self._scoring.aggregation)
        anomaly = self._anomaly(sample)
        if self._scale is None or anomaly is None:
            return sample.flow_score.item()
        local = local_scores(anomaly, self._scoring.hottest).unsqueeze(0)
        return self._scale.join(sample.flow_score, local).item()

    def _way(self, all_views: bool = False) -> _Way:
        views, chosen = self._views, self._scoring
        one_score = len(views) == 1 or chosen.aggregation == "features"
        if self._calibration is None or one_score or chosen.error_probability == 0.0 or all_views:
            return _Way(views, views, None)
        sequential = SequentialTest(len(views), chosen.error_probability, chosen.aggregation)
        views = tuple(spread_out(views))
        return _Way(views, views[: sequential.group], sequential)

    def _score_group(
        self, group: Sequence[Sample | Failure], started: float, scored: bool
    ) -> Iterator[Sample | Failure]:
        """Ask the flow about images together, and have each one's clock run from when it is handed on."""
        asked = [sample for sample in group if isinstance(sample, Sample) and scored and sample.flow_score is None]
        if asked:
            self._ask_flow(asked)
        self._compare_cells(group)
        share = (time.perf_counter() - started) / len(group)
        for sample in group:
            if isinstance(sample, Sample):
                sample.clock.start(share)
            yield sample

    def _ask_flow(self, samples: Sequence[Sample]) -> None:
        """Score images by the flow, always as many at a time.

        How a product of matrices is rounded depends on the number of rows: of a fixed number, an image has the same
        score alone and among others, to the last bit. What is missing is filled up with the first.
        """
        features = torch.stack([sample.features for sample in samples])
        most = VIEWS_PER_GROUP if self._flow.device.type == "cpu" else VIEWS_PER_GPU_GROUP
        images = -(-most // features.shape[1])
        scores = []
        for part in features.split(images):
            filled = torch.cat([part, part[:1].expand(images - len(part), -1, -1)])
            scores.append(score_features(self._flow, filled, self._scoring.aggregation)[: len(part)])
        for sample, score in zip(samples, torch.cat(scores).split(1), strict=True):
            sample.flow_score = score

    def _compare(self, sample: Sample) -> None:
        """Compare the cells of an image with good ones, if it has been described."""
        if sample.cells is not None:
            sample.anomaly = self.localizer.anomaly(sample.cells)
            sample.cells = None  # 1.5 MB and more, of each image that is under way

    def _compare_cells(self, group: Sequence[Sample | Failure]) -> None:
        """Compare the cells of images with good ones before any is looked at: for each a GPU would be waited for."""
        anomalies = {
            place: self.localizer.anomaly(sample.cells)
            for place, sample in enumerate(group)
            if isinstance(sample, Sample) and sample.cells is not None and sample.anomaly is None
        }
        if anomalies:
            together = torch.stack([*anomalies.values()]).cpu()
            for place, anomaly in zip(anomalies, together, strict=True):
                sample = group[place]
                if isinstance(sample, Sample):
                    sample.anomaly = anomaly

    def _judge(self, sample: Sample | Failure, way: _Way) -> Verdict | Failure:
        if isinstance(sample, Failure):
            return sample
        if way.sequential is not None:
            self._take_views(sample, way.sequential, way.views)
        score = self.score(sample)
        if not math.isfinite(score):  # which no threshold would refuse
            return Failure(sample.source, "The model gives no number for this image; look at it, and train again.")
        verdict = self._verdict(sample, score)
        if self._monitor is not None:
            self._monitor.add(sample, verdict)
        sample.clock.stop()
        return verdict

    def _take_views(self, sample: Sample, sequential: SequentialTest, views: Sequence[View]) -> None:
        """Add groups of views to an image's first ones until the decision is settled."""
        cuts = [] if self._calibration is None else self._calibration.cuts
        anomaly = self._anomaly(sample)
        if self._scale is not None and anomaly is not None:
            local = local_scores(anomaly, self._scoring.hottest)
            cuts = [self._scale.flow_cut(cut, local) for cut in cuts]
        while True:
            self._evaluate(sample)
            if all(sequential.settled(sample.energies, cut) for cut in cuts if cut > -math.inf):
                return
            taken = len(sample.features)
            group = views[taken : taken + sequential.group]
            new = self._extraction.network.extract([sample.pixels], [group])[0]
            sample.features = torch.cat([sample.features, new])

    def _evaluate(self, sample: Sample) -> None:
        """Ask the flow about those of an image's views that it was not asked about yet."""
        new = sample.features[len(sample.energies) :]
        if len(new):
            with torch.no_grad():
                energies = self._flow.energy(new.to(self._extraction.network.device)).cpu()
            sample.energies = torch.cat([sample.energies, energies])

    def _anomaly(self, sample: Sample) -> Tensor | None:
        """The local anomaly of an image's cells, for models whose score counts it."""
        if self._scale is None:
            return None
        if sample.anomaly is None:
            # Without cells a map by another method was asked for; the verdict is the model's all the same.
            localizer, cells = self.localizer, sample.cells
            sample.anomaly = localizer.anomaly_of(sample.pixels) if cells is None else localizer.anomaly(cells)
        return sample.anomaly
