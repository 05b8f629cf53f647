"""Settings by name."""

from __future__ import annotations

from collections.abc import Mapping

from differnet.errors import SettingsError
from differnet.settings.settings import (
    CalibrationSettings,
    ExtractorSettings,
    FlowSettings,
    LocalizationSettings,
    ScoringSettings,
    Settings,
    TrainingSettings,
    ViewSettings,
)

__all__ = ["PRESETS", "preset"]

PRESETS: Mapping[str, Settings] = {
    "default": Settings(),
    # The nearest of a few thousand good cells, at one size: as quick as can be, for parts that hardly vary.
    "fast": Settings(
        views=ViewSettings(size=320, flow_size=None, tiles="none", enlarge=True, kind="none"),
        scoring=ScoringSettings(
            join="soft-maximum", flow_weight=1.0, reduced_weight=1.0, windows_weight=1.0, hottest=0.03
        ),
        localization=LocalizationSettings(method="neighbours", turn_cells="never"),
    ),
    # The official config.py: 24 meta epochs of 8 epochs, batches of 24 images x 4 views, all good images trained on.
    "paper": Settings(
        views=ViewSettings(
            size=448, flow_size=None, tiles="none", enlarge=True, kind="rotations", count=64, training_count=4
        ),
        extractor=ExtractorSettings(name="alexnet", scales=3, stages=(-1,), deviation=False, precision="float32"),
        flow=FlowSettings(whiten=False, blocks=8, hidden=2048, official_clamp_factor=True, stored="float32"),
        training=TrainingSettings(
            epochs=24 * 8,
            batch_images=24,
            views="fresh",
            held_out=0.0,
            min_held_out=0,
            keep="last",
            patience=0,
            learning_rate=2e-4,
            betas=(0.8, 0.8),
            eps=1e-4,
            weight_decay=1e-5,
        ),
        scoring=ScoringSettings(aggregation="mean", local=False, error_probability=0.0),
        localization=LocalizationSettings(method="gradient", turn_cells="never"),
        calibration=CalibrationSettings(method="none"),
    ),
}
"""Settings by name: ``paper`` follows the authors' code step for step, ``default`` is what is recommended."""


def preset(name: str) -> Settings:
    """Look up a preset.

    Raises:
        SettingsError: If there is none of that name.
    """
    if name not in PRESETS:
        raise SettingsError(f"There is no preset '{name}'; choose one of {', '.join(PRESETS)}.")
    return PRESETS[name]
