"""One uploaded image on its way to a recorded verdict."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from differnet.features import Sample
from differnet.images.failure import Failure
from differnet.server.inspecting.model_repository import Served

__all__ = ["Job", "Recorded", "Upload"]

Recorded = dict[str, Any]
"""The columns of a recorded inspection, with ``media_type`` and ``removed_at`` of its image."""


@dataclass(frozen=True)
class Upload:
    """A file as it came.

    Attributes:
        content: Of the file.
        filename: For people to read, never a path; None if the client gave none.
    """

    content: bytes
    filename: str | None


@dataclass(eq=False)
class Job:
    """An image that waits for its verdict.

    Attributes:
        model: Name of the model.
        upload: The file.
        future: Gets the recorded inspection, or the `Problem` that there is none for.
        sha256: Of the content, once computed.
        media_type: Of the content, once it was looked at.
        request: By which the same request is known if it is sent again; None if it asked for nothing of that kind.
        submitted: When it came, in seconds of ``time.perf_counter``.
        served: The model that it was prepared for.
        sample: The image on its way, until it is judged.
    """

    model: str
    upload: Upload
    future: Future[Recorded] = field(default_factory=Future)
    request: str | None = None
    sha256: str = ""
    media_type: str = ""
    submitted: float = field(default_factory=time.perf_counter)
    served: Served | None = None
    sample: Sample | Failure | None = None
