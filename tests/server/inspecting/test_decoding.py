"""Decoded images take no more memory than the bound, and whoever finds no room is told to come again."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from differnet.server.inspecting.decoding import Decoding, decoded_bytes
from differnet.server.limits import Limits
from differnet.server.problems import Problem
from tests.server.conftest import MakeClient, photo, station_of


def test_no_more_is_held_than_allowed_but_always_one() -> None:
    decoding, most = Decoding(100), [0]

    def work(size: int) -> None:
        with decoding.hold(size, 30.0):
            most[0] = max(most[0], decoding.held)
            time.sleep(0.002)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [40, 60, 10, 90] * 10))
    assert (most[0] <= 100, decoding.held) == (True, 0)
    with decoding.hold(1000, 0.0):
        with pytest.raises(Problem) as raised, decoding.hold(1, 0.05):
            pass
        assert (raised.value.status, raised.value.retry_after) == (503, 1)
    with decoding.hold(1, 0.0):
        pass


def test_a_large_image_is_not_passed_by_for_ever() -> None:
    decoding, order = Decoding(100), []

    def work(size: int) -> None:
        with decoding.hold(size, 30.0):
            order.append(size)

    with decoding.hold(50, 0.0):
        threads = []
        for size in (100, 10, 20):
            threads.append(threading.Thread(target=work, args=(size,)))
            threads[-1].start()
            while len(decoding._queue) < len(threads):
                time.sleep(0.001)
        assert order == []
    for thread in threads:
        thread.join()
    assert order[0] == 100


def test_more_bits_take_more() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((20, 20), np.uint16)).save(buffer, "PNG")
    assert decoded_bytes(400, buffer.getvalue()) > decoded_bytes(400, photo())


def test_pictures_wait_for_room_and_say_so(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("differnet.server.reviewing.explaining._ROOM_SECONDS", 0.1)
    client = make_client(limits=Limits(seconds=120.0, decoded_bytes=1000))
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(buffer, "TIFF")
    found = client.post("/v1/models/plates/inspect", content=buffer.getvalue()).json()["inspections"][0]
    addresses = ("thumbnail", "image?display=true", "heatmap.png")
    client.get(found["explanation_url"])
    with station_of(client).decoding.hold(1000, 0.0):
        for address in addresses:
            answer = client.get(f"/v1/inspections/{found['id']}/{address}")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert client.get(found["image_url"]).content == buffer.getvalue()
    for address in addresses:
        assert client.get(f"/v1/inspections/{found['id']}/{address}").status_code == 200
