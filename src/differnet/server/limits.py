"""What the service takes on, at most."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds that keep one client, or a flood of them, from taking the service down.

    Attributes:
        image_bytes: Of one image file.
        request_bytes: Of one request.
        received_bytes: Of all requests together that are being received or inspected.
        pixels: Of one image.
        images: In one request.
        waiting: Images that wait or are being inspected; beyond that, requests are refused with 503.
        decoded_bytes: Of all images together that are decoded at one time, for whatever; one is always let in.
        batch: Images that go through a model in one go.
        seconds: That a request may take from its last byte to its verdicts, wait for a heat map, or score images for a
            recalibration.
        receive_seconds: That a request may take to arrive.
    """

    image_bytes: int = 64 * _MEBIBYTE
    request_bytes: int = 256 * _MEBIBYTE
    received_bytes: int = 1024 * _MEBIBYTE
    pixels: int = 50_000_000
    images: int = 64
    waiting: int = 256
    decoded_bytes: int = 640 * _MEBIBYTE
    batch: int = 32
    seconds: float = 30.0
    receive_seconds: float = 60.0
