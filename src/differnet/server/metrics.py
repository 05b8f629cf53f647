"""What Prometheus reads at ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counters of one service; each has its own registry, so that several can live in one process.

    Attributes:
        inspections: Recorded inspections, by model and decision.
        unusable: Images that could not be used, by status.
        batch_images: Images in one go of a network.
        requests: Answered requests, by route and status.
        request_seconds: Their duration, by route.
        explanations: Heat maps that were computed.
        removed: Images that retention removed.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        made = {"registry": self._registry, "namespace": "differnet"}
        self.inspections = Counter("inspections", "Recorded inspections.", ["model", "decision"], **made)  # type: ignore[arg-type]
        self.unusable = Counter("unusable_images", "Images that could not be used.", ["status"], **made)  # type: ignore[arg-type]
        self.batch_images = Histogram(
            "batch_images",
            "Images in one go of a network.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            **made,  # type: ignore[arg-type]
        )
        self.requests = Counter("requests", "Answered requests.", ["route", "status"], **made)  # type: ignore[arg-type]
        self.request_seconds = Histogram(
            "request_seconds",
            "Duration of requests.",
            ["route"],
            buckets=_SECONDS,
            **made,  # type: ignore[arg-type]
        )
        self.explanations = Counter("explanations", "Computed heat maps.", **made)  # type: ignore[arg-type]
        self.removed = Counter("removed_images", "Images that retention removed.", **made)  # type: ignore[arg-type]
        ProcessCollector(registry=self._registry)

    def watch(self, name: str, about: str, read: Callable[[], float]) -> None:
        """Add a value that is read whenever Prometheus asks."""
        Gauge(name, about, registry=self._registry, namespace="differnet").set_function(read)

    def render(self) -> bytes:
        """All of it, in the text format."""
        return generate_latest(self._registry)
