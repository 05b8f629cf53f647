"""Good pictures of a product: what is kept, what is marked, what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from differnet.server.limits import Limits
from tests.conftest import plate
from tests.server.conftest import MakeClient, photo, station_of
from tests.server.products.conftest import add, make_product


def test_copies_and_sizes_are_marked(client: TestClient) -> None:
    address = make_product(client, seeds=range(14))
    again = photo(3, kind="BMP")
    other = io.BytesIO()
    Image.fromarray(plate(np.random.default_rng(40), size=160)).save(other, "PNG")
    added = add(client, address, {"again.bmp": again, "large.png": other.getvalue(), "good 3.png": photo(3)})
    assert [each["known"] for each in added] == [False, False, True]
    found = {each["filename"]: each for each in client.get(f"{address}/pictures").json()["pictures"]}
    assert len(found) == 16
    assert [name for name, each in found.items() if each["unusual_size"]] == ["large.png"]
    assert {name for name, each in found.items() if each["copies"]} == {"good 3.png", "again.bmp"}
    shown = client.get(found["again.bmp"]["thumbnail_url"])
    assert (shown.headers["Content-Type"], shown.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert client.get(found["again.bmp"]["image_url"]).content == again


def test_what_is_no_picture_is_refused_by_itself(client: TestClient) -> None:
    address = make_product(client, seeds=())
    added = add(client, address, {"notes.png": b"no picture", "../../etc/passwd": photo(1), "big.png": photo(2)})
    assert added[0]["error"] == "The file is not a PNG, JPEG, BMP, TIFF or WebP image; convert it."
    assert [each["filename"] for each in added[1:]] == ["passwd", "big.png"]
    store = station_of(client).workshop.pictures
    kept = sorted(path.name for path in store.folder(address.rpartition("/")[2]).glob("pictures/*"))
    assert kept == sorted(f"{each['sha256']}.png" for each in added[1:])


def test_pictures_have_the_limits_of_inspections(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(image_bytes=3000, pixels=500))
    address = make_product(client, seeds=())
    small = io.BytesIO()
    Image.new("L", (40, 40)).save(small, "PNG")
    errors = [each["error"] for each in add(client, address, {"a.png": photo(1), "b.png": small.getvalue()})]
    assert "MiB" in errors[0]
    assert "pixels" in errors[1]


def test_names_that_differ_in_case_alone_are_the_same(client: TestClient) -> None:
    assert client.post("/v1/products", json={"name": "Flügel <b>".replace("<b>", "& 1")}).status_code == 200
    assert client.post("/v1/products", json={"name": "FLÜGEL & 1"}).status_code == 409


def test_a_full_disk_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    address = make_product(client, seeds=())
    folder = station_of(client).workshop.pictures.folder(address.rpartition("/")[2])
    folder.mkdir(exist_ok=True)
    (folder / "previews").write_text("in the way")  # a folder cannot be made here, as on a full disk
    [added] = add(client, address, {"a.png": photo(1)})
    assert "cannot be kept" in added["error"]
    assert client.get(f"{address}/pictures").json()["pictures"] == []
