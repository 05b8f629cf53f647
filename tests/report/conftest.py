"""What the report's tests share."""

from __future__ import annotations

import pytest

from differnet.calibration import Calibration, calibrate
from tests.report.evaluations import CALIBRATION_SCORES


@pytest.fixture
def calibration() -> Calibration:
    return calibrate(CALIBRATION_SCORES, 0.05)
