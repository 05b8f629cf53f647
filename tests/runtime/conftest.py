"""Exported models for the runtime."""

from __future__ import annotations

import pytest

from tests.export.files import Exported, exported


@pytest.fixture(scope="session", params=["plain", "local", "region"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, request.param)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "plain")
