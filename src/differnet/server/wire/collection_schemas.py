"""Taking pictures from cameras and folders over the wire, as the OpenAPI document describes it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["CollectionRequest", "CollectionStatus", "SourceNames", "TakeRequest"]

_LONGEST = 200


class SourceNames(BaseModel):
    """Where pictures may be taken from."""

    cameras: list[str]
    folders: list[str]


class TakeRequest(BaseModel):
    """One picture."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"camera": "line1"}]})

    camera: str = Field(max_length=_LONGEST, description="Its name.")


class CollectionRequest(BaseModel):
    """Pictures one after the other, of a camera or of a folder."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"camera": "line1", "every": 5, "until": 50}]}
    )

    camera: str | None = Field(None, max_length=_LONGEST, description="Its name; a recording is gone through once.")
    folder: str | None = Field(None, max_length=_LONGEST, description="Its name.")
    every: float | None = Field(None, ge=0.1, le=86_400, description="Seconds between two pictures of a camera.")
    until: int | None = Field(
        None, ge=1, le=5000, description="So many are added; null of a folder takes what it has now."
    )

    @model_validator(mode="after")
    def _one_source(self) -> CollectionRequest:
        if (self.camera is None) == (self.folder is None):
            raise ValueError("name a camera or a folder")
        if self.camera is not None and (self.every is None or self.until is None):
            raise ValueError("of a camera, say 'every' and 'until'")
        if self.folder is not None and self.every is not None:
            raise ValueError("'every' is of cameras")
        return self


class CollectionStatus(BaseModel):
    """How far it is."""

    kind: Literal["camera", "folder"]
    source: str
    every: float | None
    until: int | None
    state: Literal["running", "done", "stopped", "failed"]
    added: int
    known: int = Field(description="Pictures that the product had already.")
    refused: int = Field(description="Pictures that could not be used.")
    said: str | None = Field(description="What went wrong last, or why it ended.")
