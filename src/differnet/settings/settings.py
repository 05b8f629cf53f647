"""Every setting of a detector, checked at the edge, and the presets."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from differnet.errors import SettingsError
from differnet.frozen_record import FrozenRecord
from differnet.settings.localization_methods import LOCALIZATION_METHODS

__all__ = [
    "EXTRACTOR_NAME",
    "CalibrationSettings",
    "ExtractorSettings",
    "FlowSettings",
    "LocalizationSettings",
    "ScoringSettings",
    "Settings",
    "TrainingSettings",
    "ViewSettings",
]

EXTRACTOR_NAME = r"\w[\w.-]*(/\w[\w.-]*)?"
"""What an extractor may be called: also the library that makes it, a slash, and the library's name for it."""


class ViewSettings(FrozenRecord):
    """The transformations T.

    Attributes:
        size: Side that images are resized to, in pixels, as the local model sees their cells.
        flow_size: Side that they are reduced to before views are made of them, for the flow, which judges the whole:
            None for `size`; never more than that. Of tiles, times the root of their number.
        tiles: Long images are cut along their long side into overlapping tiles, which are laid beside one another to a
            square: ``1xN`` for wide images, ``Nx1`` for tall ones. ``auto`` lets training choose by the usual sides of
            the good images, ``none`` where these do not differ 3 to 1; with ``none`` all are squeezed to squares.
        enlarge: Whether images smaller than that are enlarged; if not, training lowers the size to theirs, see
            `differnet.training.size_choice`.
        kind: ``rotations`` by any angle, ``right-angles`` (4), ``flips`` (left to right, top to bottom, both: 4),
            ``symmetries`` of the square (right angles with and without flips, 8), or ``none``. ``auto`` lets training
            choose between ``none`` and ``right-angles`` from the good images, see `differnet.training.view_choice`.
        count: Number of fixed views of an image that is scored.
        training_count: Number of views of an image in training: in each epoch if they are drawn afresh, else in
            the feature bank.
        max_degrees: Random rotations in training stay within +- this.
        brightness: Random factor in training is uniform in 1 +- this; 0 switches it off.
        contrast: Likewise for contrast.
        saturation: Likewise for saturation.
    """

    size: int = Field(640, ge=64, le=4096)
    flow_size: int | None = Field(256, ge=64, le=4096)
    tiles: str = "auto"
    enlarge: bool = False
    kind: Literal["rotations", "right-angles", "flips", "symmetries", "none", "auto"] = "auto"
    count: int = Field(1, ge=1, le=4096)
    training_count: int = Field(1, ge=1, le=4096)
    max_degrees: float = Field(180.0, ge=0.0, le=180.0)
    brightness: float = Field(0.0, ge=0.0, le=1.0)
    contrast: float = Field(0.0, ge=0.0, le=1.0)
    saturation: float = Field(0.0, ge=0.0, le=1.0)

    @field_validator("tiles")
    @classmethod
    def _check_tiles(cls, tiles: str) -> str:
        if not re.fullmatch(r"auto|none|1x([2-9]|1[0-6])|([2-9]|1[0-6])x1", tiles):
            raise PydanticCustomError(
                "no_tiling",
                "'{tiles}' is no tiling: give auto or none, or how many tiles images are cut into along one side, as "
                "1x4 for wide images and 4x1 for tall ones, at most 16; to see more of others raise views.size",
                {"tiles": tiles.encode("utf-8", "backslashreplace").decode()},  # pydantic takes no lone surrogates
            )
        return tiles

    @property
    def tile_count(self) -> int:
        """Number of tiles of an image."""
        return math.prod(int(count) for count in self.tiles.split("x")) if "x" in self.tiles else 1

    @property
    def flow_side(self) -> int:
        """Side of the image that views for the flow are made of, in pixels."""
        if self.flow_size is None:
            return self.size
        side = self.flow_size if self.tile_count == 1 else round(self.flow_size * self.tile_count**0.5 / 32) * 32
        return min(side, self.size)

    @model_validator(mode="after")
    def _check_count(self) -> ViewSettings:
        available = {"right-angles": 4, "flips": 4, "symmetries": 8, "none": 1}.get(self.kind)
        if available is not None and self.count > available:
            raise ValueError(f"views of kind '{self.kind}' number {available}, count must not exceed that")
        return self


class ExtractorSettings(FrozenRecord):
    """The frozen feature extractor.

    Attributes:
        name: One of `differnet.extractors.CATALOGUE`, or of a user's own; whether there is one is checked where it is
            made.
        scales: Number of image sizes; each is half the one before.
        stages: Which stages' maps are pooled, counted from the last, -1.
        deviation: Pool the standard deviation of each map beside its mean.
        precision: ``float32``; ``bfloat16``, nearly twice as fast where the hardware computes in it; ``auto``, the
            latter where the machine that trains has it. A model keeps what it was trained in: loaded elsewhere it
            computes, or rounds, in the same. The default's scores are the same on all machines but for rounding,
            those in bfloat16 differ by some percent between kinds of processors.
    """

    name: str = Field("efficientnet-lite0", pattern=f"^{EXTRACTOR_NAME}$", max_length=200)
    scales: int = Field(1, ge=1, le=5)
    stages: tuple[Annotated[int, Field(ge=-5, le=-1)], ...] = Field((-3, -2), min_length=1, max_length=5)
    deviation: bool = True
    precision: Literal["auto", "float32", "bfloat16"] = "float32"


class FlowSettings(FrozenRecord):
    """The density of good images' features; see `differnet.flow`.

    Attributes:
        kind: Its model: ``real-nvp``, the paper's normalizing flow (`differnet.flow.NormalizingFlow`); ``gaussian``, a
            Gaussian with shrunk covariance, which takes no training (`differnet.flow.Gaussian`) and which no other of
            these settings but ``stored`` concerns; or one registered in `differnet.flow.DENSITY_MODELS`.
        blocks: Number of coupling blocks.
        hidden: Width of the subnets' hidden layers.
        clamp: The a of the soft clamp.
        official_clamp_factor: Use the official code's 0.636 for 2 / pi.
        stored: Precision of the matrices in the model file; a trained flow is rounded to it before anything is scored,
            so that a saved model scores as the one in memory.
        whiten: Begin with a whitening layer, and with blocks that are the identity; see `differnet.flow.whitening`.
    """

    kind: str = Field("real-nvp", min_length=1, max_length=64)
    whiten: bool = True
    blocks: int = Field(2, ge=1, le=64)
    hidden: int = Field(64, ge=1, le=8192)
    clamp: float = Field(3.0, gt=0.0, le=100.0)
    official_clamp_factor: bool = False
    stored: Literal["float32", "float16"] = "float16"


class TrainingSettings(FrozenRecord):
    """Maximum-likelihood training.

    Attributes:
        epochs: Most passes over the training images.
        batch_images: Images per step.
        views: ``bank`` extracts the views of each image once; ``fresh`` draws new ones every epoch, as the paper.
        learning_rate: Of Adam.
        betas: Of Adam.
        eps: Of Adam.
        weight_decay: Of Adam.
        held_out: Share of the good images that is held out to watch the likelihood; 0 holds out none.
        min_held_out: At least this many are held out, up to half of the images.
        keep: ``best`` keeps the epoch with the highest held-out likelihood, which may be 0, the Gaussian that a flow
            with whitening starts as; ``last`` keeps the last one.
        patience: Stop after this many epochs without a better one; 0 never stops early.
        outliers: What becomes of the good images that score far above the others by models that did not see them, see
            `differnet.training.suspects`; they are named in any case. ``kept`` lets them count like the others;
            ``uncounted`` learns from them without letting them set the threshold, ``auto`` does so where one of them
            would be it (`differnet.training.counting`); ``left-out`` learns again without them.
        near_copies: ``together`` finds good images that show the same thing (copies, recompressed or flipped ones,
            frames of one part; see `differnet.training.near_copies`), and learns from all of a group or from none;
            ``ignored`` does not look for them.
        group_by: Which good images show the same part: ``folder``, for those in one folder, or a regular expression for
            those in whose names it finds the same; empty where each shows another one. Images of a group are learnt
            from together or not at all, and count once for the threshold.
    """

    epochs: int = Field(40, ge=1)
    batch_images: int = Field(64, ge=1)
    views: Literal["bank", "fresh"] = "bank"
    learning_rate: float = Field(1e-3, gt=0.0)
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = Field(1e-8, gt=0.0)
    weight_decay: float = Field(0.0, ge=0.0)
    held_out: float = Field(0.2, ge=0.0, le=0.5)
    min_held_out: int = Field(10, ge=0)
    keep: Literal["best", "last"] = "best"
    patience: int = Field(8, ge=0)
    outliers: Literal["auto", "kept", "uncounted", "left-out"] = "auto"
    near_copies: Literal["together", "ignored"] = "together"
    group_by: str = Field("", max_length=1000)

    @model_validator(mode="after")
    def _check(self) -> TrainingSettings:
        if any(not 0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError("betas must lie in [0, 1)")
        if self.keep == "best" and self.held_out == 0.0:
            raise ValueError("keep='best' needs held-out images; set held_out above 0 or keep='last'")
        return self


class ScoringSettings(FrozenRecord):
    """How the views of an image become one score.

    Attributes:
        aggregation: ``mean`` over the views' scores, as the paper; ``median``, which outlier views do not pull; or
            ``features``: the mean of the views' features is scored, which no longer depends on the image's angle.
        join: How the local score joins the flow's, see `differnet.scoring.common_scale`.
        flow_weight: How much the flow's evidence counts beside that of the cells, in a sum of logarithms; None lets
            training settle it, see `differnet.training.evidence`.
        reduced_weight: Likewise the evidence of the reduced image's cells.
        windows_weight: Likewise that of its windows.
        local: Join the local model's score, that of the hottest cells, to the flow's; see `differnet.scoring`.
        hottest: How many of an image's cells its local score is the mean of: a share of them up to 1, a number above.
            A small defect takes a few cells, however many the image has.
        error_probability: Of sequential scoring: how often the verdict by the first views may differ from that by all,
            see `differnet.scoring.sequential`; 0 always takes all views.
    """

    aggregation: Literal["mean", "median", "features"] = "median"
    join: Literal["sum-of-logarithms", "soft-maximum"] = "sum-of-logarithms"
    flow_weight: float | None = Field(None, gt=0.0, le=10.0)
    reduced_weight: float | None = Field(None, gt=0.0, le=10.0)
    windows_weight: float | None = Field(None, gt=0.0, le=10.0)
    local: bool = True
    hottest: float = Field(5.0, gt=0.0, le=10_000.0)
    error_probability: float = Field(0.001, ge=0.0, lt=0.5)

    @property
    def weights(self) -> tuple[float, float, float]:
        """Of the evidence of flow, reduced image and its windows, beside that of the cells; 1 where not settled."""
        return self.flow_weight or 1.0, self.reduced_weight or 1.0, self.windows_weight or 1.0


def _known_method(name: str) -> str:
    if name in LOCALIZATION_METHODS:
        return name
    *others, last = (f"'{known}'" for known in LOCALIZATION_METHODS)
    raise PydanticCustomError("literal_error", f"Input should be {', '.join(others)} or {last}")


class LocalizationSettings(FrozenRecord):
    """How heat maps are made; see `differnet.localization`.

    Attributes:
        method: ``mixture``, the likelihood of cells under a mixture; ``neighbours``, the distance to the nearest good
            cells; or ``gradient``, the paper's; one of `LOCALIZATION_METHODS`.
        cells: Of ``neighbours``: good cells that the model keeps, of each of two window sizes.
        dimensions: Of ``neighbours``: of the projection in which cells are compared.
        components: Of ``mixture``: Gaussians of each of two grids.
        rank: Of ``mixture``: principal axes of each Gaussian.
        shrinkage: Of ``mixture``: how strongly a Gaussian is drawn towards the covariance that all have in common, in
            cells.
        mixture_dimensions: Of ``mixture``: of the space in which cells are compared.
        reduced: Of ``mixture``: what is described in the image of ``views.flow_size`` as well, where more of the part
            is seen at once: ``cells``, compared with good ones wherever they lie; ``all``, which are windows of a
            quarter of its side, too, each compared with those at its place; or ``none``.
        fine_stages: Of ``mixture``: the stages that cells of the fine grid are described by: those whose maps are not
            coarser (``resolved``), which keeps heat maps sharp, or ``all`` that the coarse grid is described by.
        turn_cells: Whether cells of good images are learnt at all four right angles: ``auto``, where views are averaged
            since parts lie at any angle, and from fewer than 25 images, which show too little; or ``never``.
    """

    method: Annotated[str, AfterValidator(_known_method)] = "mixture"
    cells: int = Field(2000, ge=50, le=100_000)
    dimensions: int = Field(256, ge=16, le=4096)
    components: int = Field(1024, ge=1, le=4096)
    rank: int = Field(12, ge=1, le=256)
    shrinkage: float = Field(100.0, gt=0.0)
    mixture_dimensions: int = Field(160, ge=4, le=4096)
    reduced: Literal["all", "cells", "none"] = "all"
    fine_stages: Literal["resolved", "all"] = "resolved"
    turn_cells: Literal["auto", "never"] = "auto"


class CalibrationSettings(FrozenRecord):
    """How training finds the threshold; see `differnet.calibration`.

    Attributes:
        method: ``held-out`` takes the scores of the held-out images. ``cross-fitted`` divides the good images into
            ``folds`` and trains a flow without each; the model is the ensemble of these flows, and every image is
            scored by the one that did not see it, so that all images both train and calibrate. ``auto``
            cross-fits when the held-out images are too few for the rate and all good images are not. ``none`` leaves
            the model without a threshold.
        false_reject_rate: Share of good parts that may be refused.
        review_rate: Share of good parts that may be refused or sent to review; None for no review.
        folds: Of the cross-fitting.
    """

    method: Literal["auto", "held-out", "cross-fitted", "none"] = "cross-fitted"
    false_reject_rate: float = Field(0.05, gt=0.0, lt=1.0)
    review_rate: float | None = Field(None, gt=0.0, lt=1.0)
    folds: int = Field(10, ge=2, le=50)

    @model_validator(mode="after")
    def _check(self) -> CalibrationSettings:
        if self.review_rate is not None and self.review_rate <= self.false_reject_rate:
            raise ValueError("review_rate must exceed false_reject_rate")
        return self


class Settings(FrozenRecord):
    """All settings of a detector.

    Attributes:
        views: The transformations.
        extractor: The feature extractor.
        flow: The normalizing flow.
        training: The training.
        scoring: The aggregation of views.
        localization: The heat maps.
        calibration: The threshold.
        seed: Of everything random.
    """

    views: ViewSettings = ViewSettings()
    extractor: ExtractorSettings = ExtractorSettings()
    flow: FlowSettings = FlowSettings()
    training: TrainingSettings = TrainingSettings()
    scoring: ScoringSettings = ScoringSettings()
    localization: LocalizationSettings = LocalizationSettings()
    calibration: CalibrationSettings = CalibrationSettings()
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _check(self) -> Settings:
        seen = self.views.flow_side
        if seen >> (self.extractor.scales - 1) < 64:
            raise ValueError(
                f"size {seen} is too small for {self.extractor.scales} scales; the smallest needs 64 pixels"
            )
        if self.scoring.aggregation == "features" and self.training.views == "fresh":
            raise ValueError("scoring.aggregation=features needs the same views in training: set training.views=bank")
        if self.views.kind == "auto" and self.training.views == "fresh":
            raise ValueError("views.kind=auto chooses fixed views, for training.views=bank; name a kind of views")
        if self.scoring.local:
            if not LOCALIZATION_METHODS[self.localization.method].scores_images:
                learning = (name for name, entry in LOCALIZATION_METHODS.items() if entry.scores_images)
                raise ValueError(
                    f"the local score needs the cells of good parts: set localization.method={' or '.join(learning)}, "
                    "or scoring.local=false"
                )
            if self.training.held_out == 0.0 and self.calibration.method != "cross-fitted":
                raise ValueError(
                    "joining the local score takes scores of good images that the flow was not trained on: set "
                    "calibration.method=cross-fitted, training.held_out above 0, or scoring.local=false"
                )
        return self

    def with_overrides(self, overrides: Mapping[str, Any]) -> Settings:
        """Return a copy in which dotted names have other values.

        Args:
            overrides: For example ``{"training.epochs": 3, "seed": 1}``; strings are converted.

        Raises:
            SettingsError: If a name does not exist or a value is not allowed.
        """
        values = self.model_dump()
        for name, value in overrides.items():
            *sections, last = name.split(".")
            target: Any = values
            for section in sections:
                target = target.get(section) if isinstance(target, dict) else None
            if not isinstance(target, dict) or last not in target or isinstance(target[last], dict):
                raise SettingsError(f"There is no setting '{name}'; choose one of {', '.join(self.names())}.")
            target[last] = value
        return _validated(values)

    @classmethod
    def names(cls) -> list[str]:
        """The dotted names of all settings."""
        return list(_dotted(cls().model_dump()))


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _validated(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'settings'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SettingsError(f"{problems}.") from None
