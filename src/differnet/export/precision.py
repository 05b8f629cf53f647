"""What an exported model computes in: what it was trained in, so that its threshold holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias, cast

from differnet.detector import DifferNet
from differnet.errors import SettingsError

__all__ = ["Precision", "as_trained", "in_precision"]

Precision: TypeAlias = Literal["float32", "bfloat16"]


def as_trained(model: DifferNet, precision: str = "auto") -> Precision:
    """Turn ``auto`` into what the model's extractor computed in when it was trained and calibrated.

    Raises:
        SettingsError: If there is no such precision.
    """
    if precision == "auto":
        precision = "float32" if model.manifest is None else model.manifest.training.precision
    if precision not in ("float32", "bfloat16"):
        raise SettingsError(f"There is no precision '{precision}' to export in; choose auto, float32 or bfloat16.")
    return cast("Precision", precision)


def in_precision(model: DifferNet, precision: Precision) -> DifferNet:
    """A copy of a model whose extractor computes in a precision, on the CPU, whatever settings and processor say."""
    fitted = model.fitted
    training = fitted.manifest.training.model_copy(update={"precision": precision})
    changed = {"settings": model.settings.with_overrides({"extractor.precision": precision}), "training": training}
    return model.with_model(replace(fitted, manifest=fitted.manifest.model_copy(update=changed)), device="cpu")
