"""Two hundred uploads that are not what they should be: each is refused with a sentence, and nothing else happens."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.server.conftest import photo
from tests.server.processes import Service

INSPECT = "/v1/models/plates/inspect"
Request = tuple[str, bytes, dict[str, str]]

_OCTETS = {"Content-Type": "application/octet-stream"}


def test_two_hundred_bad_uploads_are_refused_with_a_sentence_each(service: Service) -> None:
    assert service.inspect(photo())[0] == 200
    before = service.get("/v1/inspections")[1]["total"]
    requests = list(_bad())
    assert len(requests) >= 200
    memory = 0
    for number, (about, (path, body, headers)) in enumerate(requests):
        status, answer, _ = service.request("POST", path, body, headers)
        assert 400 <= status < 500, (about, status, answer)
        detail = _detail(answer)
        assert detail[:1].isupper() and detail.endswith("."), (about, detail)
        assert "Traceback" not in detail and "/tmp" not in detail, (about, detail)
        if number == len(requests) // 2:
            memory = service.memory()
    # By half of them, all kinds have come by; the other half must not cost more.
    assert service.memory() < memory + (32 << 20)
    assert service.get("/v1/inspections")[1]["total"] == before
    assert service.inspect(photo(1))[0] == 200
    assert '"level": "error"' not in service.log.read_text()


def _detail(answer: bytes) -> str:
    import json

    found = json.loads(answer)
    assert set(found) == {"detail"}
    return str(found["detail"])


def _bad() -> Iterator[tuple[str, Request]]:
    """All kinds once, and then once more with other contents, so that the second half is like the first."""
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP"):
            whole = photo(seed, kind=kind)
            for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9):
                yield f"truncated {kind} {share}", (INSPECT, whole[: max(1, int(share * len(whole)))], _OCTETS)
            yield f"head of {kind}", (INSPECT, whole[:12], _OCTETS)
        for about, content in _wrong_types(rng):
            yield about, (INSPECT, content, _OCTETS)
            yield f"{about}, as multipart", _multipart([("images", "../../../../etc/cron.d/x", content)])
        for about, content in _bombs():
            yield about, (INSPECT, content, _OCTETS)
        for about, content in _damaged(rng, photo(seed)):
            yield about, (INSPECT, content, _OCTETS)
        yield "9 MiB", (INSPECT, photo(seed) + bytes(9 << 20), _OCTETS)
        yield "9 MiB as multipart", _multipart([("images", "large.png", photo(seed) + bytes(9 << 20))])
        yield from _bad_requests(photo(seed))


def _wrong_types(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    yield "text", b"not an image at all\n" * 20
    yield "noise", rng.bytes(5000)
    yield "zeros", bytes(5000)
    yield "HTML", b"<html><script>alert(1)</script></html>"
    yield "SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>'
    yield "zip", b"PK\x03\x04" + rng.bytes(500)
    yield "gzip", zlib.compress(bytes(1 << 20))
    yield "pickle", b"\x80\x04\x95cos\nsystem\n(S'true'\ntR."
    yield "ELF", b"\x7fELF" + bytes(500)
    yield "PDF", b"%PDF-1.7\n" + rng.bytes(300)
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(w) run\n"
    buffer = io.BytesIO()
    Image.new("RGB", (99, 99)).save(buffer, "GIF")
    yield "GIF", buffer.getvalue()
    for magic in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"BM", b"II*\x00", b"RIFF\x10\x00\x00\x00WEBP"):
        yield f"only {magic!r}", magic
        yield f"{magic!r} and noise", magic + rng.bytes(2000)


def _bombs() -> Iterator[tuple[str, bytes]]:
    for width, height in ((50_000, 50_000), (2**31 - 1, 2**31 - 1), (4_000_000, 16), (2001, 2000)):
        yield f"PNG of {width} x {height}", _png(width, height, b"\x00" * 1000)
    yield "PNG of 0 x 0", _png(0, 0, b"")
    yield "PNG of 5 x 5", _png(5, 5, b"\x00" * 100)
    # A small image whose compressed rows unpack to far more than it needs.
    yield (
        "PNG with 100 MB of text",
        _png(64, 64, b"", extra=_chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(100_000_000)))),
    )
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "TIFF", compression="group4")
    yield "TIFF of 100 megapixels in a few bytes", buffer.getvalue()
    buffer = io.BytesIO()
    Image.new("L", (3000, 3000)).save(buffer, "WEBP", quality=1, method=0)
    yield "WebP of 9 megapixels", buffer.getvalue()


def _damaged(rng: np.random.Generator, whole: bytes) -> Iterator[tuple[str, bytes]]:
    for place in (9, 17, 21, 24, 25):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        yield f"byte {place} flipped", bytes(damaged)
    middle = len(whole) // 2
    yield "noise in the middle", whole[:middle] + rng.bytes(400) + whole[middle + 400 :]


def _bad_requests(content: bytes) -> Iterator[tuple[str, Request]]:
    yield "empty", (INSPECT, b"", _OCTETS)
    yield "empty file", _multipart([("images", "a.png", b"")])
    yield "wrong field", _multipart([("file", "a.png", content)])
    yield "no field", _multipart([])
    yield "65 files", _multipart([("images", f"{i}.png", b"x") for i in range(65)])
    yield "JSON", (INSPECT, b'{"image": "..."}', {"Content-Type": "application/json"})
    yield "form", (INSPECT, b"image=1", {"Content-Type": "application/x-www-form-urlencoded"})
    path, body, headers = _multipart([("images", "a.png", content)])
    yield "multipart cut off", (path, body[:-60], headers)
    yield "multipart without boundary", (path, body, {"Content-Type": "multipart/form-data"})
    yield "multipart with another boundary", (path, body, {"Content-Type": "multipart/form-data; boundary=other"})
    yield "multipart that is none", (path, content, headers)
    yield (
        "multipart with a huge header",
        (
            path,
            b"--b\r\nContent-Disposition: form-data; name=images; filename="
            + b"a" * 100_000
            + b"\r\n\r\nx\r\n--b--\r\n",
            {"Content-Type": "multipart/form-data; boundary=b"},
        ),
    )
    for name in ("..%2F..%2Fetc%2Fpasswd", "%00", "..", "plates%2F..%2Fplates", "%2Fetc%2Fpasswd", "a" * 3000):
        yield f"model {name[:20]}", (f"/v1/models/{name}/inspect", content, _OCTETS)


def _multipart(files: list[tuple[str, str, bytes]]) -> Request:
    parts = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n\r\n%s\r\n'
        % (field.encode(), name.encode(), content)
        for field, name, content in files
    )
    return INSPECT, parts + b"--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _png(width: int, height: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = _chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + extra + data + _chunk(b"IEND", b"")
