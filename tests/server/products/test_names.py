"""What a product may be called."""

from __future__ import annotations

import pytest

from differnet.server.problems import Problem
from differnet.server.products.names import checked_name, folded


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        ".",
        "../x",
        "a/b",
        "a\\b",
        "c:",
        ".hidden",
        "end.",
        "nul",
        "COM1.x",
        "a\nb",
        "x" * 90,
        "\u202egnp",
        "\ud800",
    ],
)
def test_names_that_no_file_may_have_are_refused(name: str) -> None:
    with pytest.raises(Problem) as refused:
        checked_name(name)
    assert refused.value.status == 422


@pytest.mark.parametrize("name", ["bottle", "Flügel 3 (left), no. 12", "部品", "<b>".strip("<>"), "a'b & c"])
def test_others_are_taken(name: str) -> None:
    assert checked_name(f" {name} ") == name


def test_names_that_look_the_same_are_the_same() -> None:
    assert folded("FLU\u0308GEL") == folded("flügel")
