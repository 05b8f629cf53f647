"""Products in SQLite and in PostgreSQL: both find the same."""

from __future__ import annotations

import pytest

from differnet.server.problems import Problem
from differnet.server.products.catalogue import Catalogue
from differnet.server.products.queue import JobQueue
from differnet.server.storage.database import Database
from differnet.server.storage.keyring import KeyRing
from tests.server.conftest import MakeClient, photo
from tests.server.products.conftest import CHOICES, add, make_product

ABOUT = {"model_id": "0123456789ab", "pictures": ["a" * 64]}


def test_the_routes_of_products(database: Database, make_client: MakeClient) -> None:
    client = make_client(database)
    address = make_product(client, "Flügel 部品", range(3))
    assert client.post("/v1/products", json={"name": "FLÜGEL 部品"}).status_code == 409
    [again] = add(client, address, {"again.png": photo(1)})
    assert again["known"]
    first = client.get(f"{address}/pictures").json()["pictures"][0]["sha256"]
    left = client.post(f"{address}/leave-out", json={"pictures": [first]}).json()["pictures"]
    assert [each["left_out"] for each in left] == [True, False, False]
    assert client.delete(f"{address}/pictures/{first}").status_code == 200
    [product] = client.get("/v1/products").json()["products"]
    assert (product["name"], product["pictures"], product["versions"]) == ("Flügel 部品", 2, 0)
    assert client.get(address).json()["choices"] == CHOICES
    said = [entry["action"] for entry in client.get(f"{address}/history").json()["history"]]
    assert said == ["remove picture", "leave out", "add pictures", "choose", "create"]
    assert client.delete(address).status_code == 200
    assert client.get(address).status_code == 404


def test_jobs_versions_and_releases(database: Database) -> None:
    key = KeyRing(database).create("Kim", "admin")[0].id
    catalogue, queue = Catalogue(database), JobQueue(database)
    product = catalogue.create("bottle", CHOICES, key)["id"]
    first = queue.add(product, "train", {"pictures": ["a" * 64]}, key)
    with pytest.raises(Problem, match="under way already"):
        queue.add(product, "train", {"pictures": []}, key)
    with pytest.raises(Problem, match="under way and uses its pictures"):
        catalogue.remove(product, key)
    running = queue.take()
    assert running is not None
    assert (running["id"], running["state"], running["starts"]) == (first["id"], "running", 1)
    assert queue.recover() == []  # the service ended; it is begun again
    again = queue.take()
    assert again is not None
    assert again["starts"] == 2
    assert queue.end_with_version(again, ABOUT) == 1
    assert queue.take() is None
    assert queue.get(first["id"])["result"] == {"version": 1}

    second = queue.add(product, "train", {"pictures": []}, key)
    assert queue.end_with_version(second, ABOUT) == 2
    catalogue.released(product, 2, "before.safetensors", key)
    release = catalogue.latest_release(product)
    assert release is not None
    assert (release["version"], release["replaced"]) == (2, "before.safetensors")
    catalogue.rolled_back(release, key)
    assert catalogue.latest_release(product) is None

    comparing = queue.add(product, "compare", {"versions": [1, 2]}, key)
    with pytest.raises(Problem, match="Work on version 2"):
        catalogue.remove_version(product, 2, key)
    assert queue.cancel(comparing["id"])
    catalogue.remove_version(product, 2, key)
    assert [version["number"] for version in catalogue.versions(product)] == [1]
    assert [version["number"] for version in catalogue.removed_versions()] == [2]
    with pytest.raises(Problem, match="no version 2"):
        catalogue.version(product, 2)
    third = queue.add(product, "train", {"pictures": []}, key)
    assert queue.end_with_version(third, ABOUT) == 3  # not another 2

    catalogue.remove(product, key)
    history = catalogue.history(product)
    assert [entry["action"] for entry in history] == ["remove", "remove version", "roll back", "release", "create"]
    assert {entry["key_name"] for entry in history} == {"Kim"}
