"""The base of all that settings and model files say: checked when made, unchangeable after."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["FrozenRecord"]


class FrozenRecord(BaseModel):
    """Fields that are checked: none unknown, no infinities, no NaN; nothing can be set afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
