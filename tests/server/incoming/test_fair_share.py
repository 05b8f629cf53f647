"""Large uploads that come together share the bytes: as many as there is room for are taken."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import Message

from differnet.server.incoming.uploads import Receiver
from differnet.server.limits import Limits
from differnet.server.problems import Problem

CHUNK = 1000


async def upload(receiver: Receiver, size: int) -> int:
    """Send a body in chunks, as others do; the status that comes of it."""
    left = size

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(0)
        part = min(CHUNK, left)
        left -= part
        return {"type": "http.request", "body": bytes(part), "more_body": left > 0}

    request = Request({"type": "http", "headers": [], "query_string": b"", "method": "POST", "path": "/"}, receive)
    try:
        async with receiver.receive(request) as files:
            assert len(files) == 1
            await asyncio.sleep(0.05)
    except Problem as problem:
        assert problem.retry_after
        return problem.status
    return 200


def statuses(sizes: list[int]) -> list[int]:
    async def together() -> list[int]:
        receiver = Receiver(Limits(received_bytes=100 * CHUNK))
        found = await asyncio.gather(*(upload(receiver, size * CHUNK) for size in sizes))
        assert receiver._held == 0
        return found

    return asyncio.run(together())


def test_of_five_large_ones_four_are_taken() -> None:
    assert statuses([24] * 5) == [200, 200, 200, 200, 503]


def test_a_small_one_is_not_refused_for_large_ones() -> None:
    found = statuses([30, 30, 30, 30, 2])
    assert found[-1] == 200
    assert found.count(200) == 4


def test_one_that_is_too_large_by_itself_is_refused_alone() -> None:
    assert statuses([150, 5, 5]) == [503, 200, 200]
