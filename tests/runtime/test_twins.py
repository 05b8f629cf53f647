"""What the runtime has a copy of, since it must do without differnet, is what differnet has."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields

import pytest

import differnet
import differnet.export.seal
import differnet.images.collect
import differnet.images.region_of_interest
import differnet.sinks.cells
import differnet_runtime
import differnet_runtime.cells
import differnet_runtime.collect
import differnet_runtime.region_of_interest
import differnet_runtime.seal


def test_images_are_collected_by_the_same_text() -> None:
    text = inspect.getsource(differnet.images.collect)
    assert inspect.getsource(differnet_runtime.collect) == text.replace("differnet.errors", "differnet_runtime.errors")


@pytest.mark.parametrize("name", ["deep", "header", "jpeg", "likeness", "pages"])
def test_images_are_read_by_the_same_text(name: str) -> None:
    ours, theirs = (importlib.import_module(f"{room}.{name}") for room in ("differnet.images", "differnet_runtime"))
    text = inspect.getsource(ours).replace("differnet.images.", "differnet_runtime.")
    assert inspect.getsource(theirs) == text


def test_regions_of_interest_are_cut_by_the_same_text() -> None:
    text = inspect.getsource(differnet.images.region_of_interest)
    theirs = text.replace("differnet.errors", "differnet_runtime.errors")
    assert inspect.getsource(differnet_runtime.region_of_interest) == theirs.replace(
        "differnet.images.read", "differnet_runtime.images"
    )


def test_damage_is_seen_by_the_same_text() -> None:
    assert inspect.getsource(differnet_runtime.seal) == inspect.getsource(differnet.export.seal)


def test_lines_of_csv_are_written_by_the_same_text() -> None:
    assert inspect.getsource(differnet_runtime.cells) == inspect.getsource(differnet.sinks.cells)


@pytest.mark.parametrize("name", ["Verdict", "Failure"])
def test_what_is_said_of_an_image_has_the_same_fields(name: str) -> None:
    ours, theirs = getattr(differnet, name), getattr(differnet_runtime, name)
    assert [(each.name, each.type, each.default) for each in fields(theirs)] == [
        (each.name, each.type, each.default) for each in fields(ours)
    ]
    values = [str(number) for number in range(len(fields(ours)))]
    assert list(theirs(*values).to_dict().items()) == list(ours(*values).to_dict().items())


def test_a_verdict_has_the_same_columns() -> None:
    assert differnet_runtime.Verdict.columns() == differnet.Verdict.columns()
