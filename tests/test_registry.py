"""A registry gives its members by name and in order, and says what there is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from differnet.errors import SettingsError
from differnet.registry import Registry


@dataclass(frozen=True)
class Spice:
    name: str


def test_members_come_by_name_and_in_order() -> None:
    spices = Registry("spice", Spice("pepper"), Spice("cumin"))
    spices.register(Spice("anise"))
    assert list(spices) == ["pepper", "cumin", "anise"]
    assert spices.find("anise") == Spice("anise")


def test_a_second_of_the_same_name_and_an_unknown_name_are_refused() -> None:
    spices = Registry("spice", Spice("pepper"), Spice("cumin"))
    with pytest.raises(SettingsError, match="There is a spice 'cumin' already"):
        spices.register(Spice("cumin"))
    with pytest.raises(SettingsError, match="There is no spice 'salt'; choose one of pepper, cumin"):
        spices.find("salt")
