"""What is said of an image that could not be used."""

from __future__ import annotations

import pytest

import differnet
import differnet_runtime


@pytest.mark.parametrize("kind", [differnet.Failure, differnet_runtime.Failure])
def test_it_names_the_image_once(kind: type[differnet.Failure]) -> None:
    assert str(kind("a.png", "it is empty; replace it.")) == "a.png: it is empty; replace it."
    assert str(kind("a.png", "shots/a.png: is empty; replace it.")) == "shots/a.png: is empty; replace it."
    assert kind("a.png", "why").to_dict() == {"path": "a.png", "reason": "why"}
