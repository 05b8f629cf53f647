"""What the user asks to be measured."""

from __future__ import annotations

import pytest

from differnet.bench.cases import setting_options
from differnet.bench.plan import FULL, QUICK, parse_counts
from differnet.cli.options import parse_assignments
from differnet.errors import SettingsError
from differnet.settings import PRESETS, Settings, preset
from tests.conftest import SMALL


def test_counts_are_sorted_and_taken_once() -> None:
    assert parse_counts("100, 1,10,100") == (1, 10, 100)


@pytest.mark.parametrize("text", ["", "many", "1,2.5", "0,5", "-1,5", "1,2000000", "7", "7,7"])
def test_bad_counts_are_refused_with_advice(text: str) -> None:
    with pytest.raises(SettingsError, match="images"):
        parse_counts(text)


def test_a_plan_follows_the_user() -> None:
    plan = FULL.changed(counts=(1, 5000), repetitions=7, train=False)
    assert (plan.counts, plan.repetitions, plan.train) == ((1, 5000), 7, False)
    assert plan.scoring_repetitions(1) == 7
    assert plan.scoring_repetitions(5000) == 1
    assert QUICK.changed(counts=None, repetitions=None, train=True) == QUICK
    with pytest.raises(SettingsError, match="--repeat"):
        FULL.changed(counts=None, repetitions=0, train=True)


@pytest.mark.parametrize("settings", [*PRESETS.values(), preset("default").with_overrides(SMALL)])
def test_training_is_measured_with_the_settings_of_the_model(settings: Settings) -> None:
    words = setting_options(settings, {"training.epochs": 3})
    assert words[::2] == ["--set"] * (len(words) // 2)
    given = Settings().with_overrides(parse_assignments(words[1::2]))
    assert given == settings.with_overrides({"training.epochs": 3})
