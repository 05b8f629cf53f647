"""Damage, by accident and by design."""

from __future__ import annotations

import random
import struct
import zlib

__all__ = ["NASTY", "damaged", "mutated_json", "with_png_checksums"]

_BYTES = (0, 1, 10, 34, 45, 58, 91, 123, 127, 128, 255)
_WORDS = (b"\0" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\1", b"\xa0\x86\1\0")

NASTY: tuple[object, ...] = (
    *(-1, 0, 1, 2, 50, 4096, 10**9, -(10**9), 2**31, 2**63, 2**64, -(2**63), 1e308, 5e-324, -0.0),
    *(float("nan"), float("inf"), -float("inf"), 0.5, 1e-12, None, True, False),
    *("", "x", "x" * 100_000, "../../etc/passwd", "nan", "1e9", "\0", "\ud800", [], {}, [[]], [1] * 10_000),
)
"""Values of JSON that a field may not expect."""


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Some bits, bytes, words or pieces of a content changed, removed, added or moved."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        if not found:
            break
        place, kind = chance.randrange(min(len(found), chance.choice((64, 512, len(found))))), chance.random()
        if kind < 0.3:
            found[place] ^= 1 << chance.randrange(8)
        elif kind < 0.5:
            found[place] = chance.choice(_BYTES)
        elif kind < 0.65:
            found[place : place + 4] = chance.choice((*_WORDS, struct.pack("<I", chance.randrange(1 << 32))))
        elif kind < 0.75:
            del found[place : place + chance.randrange(1, 40)]
        elif kind < 0.85:
            found[place:place] = chance.randbytes(chance.randrange(1, 20))
        elif kind < 0.92:
            del found[place:]
        else:
            source = chance.randrange(len(found))
            found[place : place + 16] = found[source : source + 16]
    return bytes(found)


def with_png_checksums(content: bytes) -> bytes:
    """A PNG with its checksums set right, so that damage reaches what is behind them; others as they are."""
    if not content.startswith(b"\x89PNG"):
        return content
    found, place = bytearray(content), 8
    while place + 12 <= len(found):
        (length,) = struct.unpack_from(">I", found, place)
        if length > len(found) - place - 12:
            break
        struct.pack_into(">I", found, place + 8 + length, zlib.crc32(found[place + 4 : place + 8 + length]))
        place += 12 + length
    return bytes(found)


def mutated_json(value: object, chance: random.Random) -> object:
    """A JSON value with one or a few of its parts replaced, removed or added, or nested without end."""
    places = list(_places(value))
    for _ in range(chance.choice((1, 1, 2, 5))):
        holder, key = chance.choice(places)
        kind = chance.random()
        try:
            if kind < 0.75:
                holder[key] = chance.choice(NASTY)
            elif kind < 0.9:
                del holder[key]
            elif isinstance(holder, dict):
                holder["x" * chance.randrange(1, 5)] = chance.choice(NASTY)
        except (KeyError, IndexError):  # a part of what was removed
            continue
    return value


def _places(value: object):  # type: ignore[no-untyped-def]  # noqa: ANN202 - containers and keys
    if isinstance(value, dict):
        for key, part in list(value.items()):
            yield value, key
            yield from _places(part)
    elif isinstance(value, list):
        for key, part in enumerate(value):
            yield value, key
            yield from _places(part)
