"""Threads of our own commands wait briefly, unless the environment says otherwise."""

from __future__ import annotations

import os

import pytest

from differnet.compute.waiting import wait_briefly

NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"GOMP_SPINCOUNT": "2000", "OPENBLAS_NUM_THREADS": "1"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active", "OPENBLAS_NUM_THREADS": "1"}),
        (
            {"GOMP_SPINCOUNT": "7", "OPENBLAS_NUM_THREADS": "3"},
            {"GOMP_SPINCOUNT": "7", "OPENBLAS_NUM_THREADS": "3"},
        ),
    ],
)
def test_what_the_environment_says_holds(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], expected: dict[str, str]
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what is set below is taken back, too
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    wait_briefly()

    assert {name: os.environ[name] for name in NAMES if name in os.environ} == expected
