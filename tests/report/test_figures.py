"""The figures: their axes suit the scores, their colours are the page's."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from differnet.calibration import Calibration
from differnet.evaluation.rates import error_rates
from differnet.report.curves import calibration_curve, roc_curve
from differnet.report.figures import draw_calibration, draw_roc, draw_scores
from tests.report.evaluations import CALIBRATION_SCORES, GOOD_SCORES


@pytest.mark.parametrize(
    ("good", "defective", "logarithmic", "cut"),
    [
        ([1.0, 2.0], [3.0], False, False),
        ([1.0, 2.0], [90.0], True, False),
        ([1.0, 2.0], [1e12], True, True),
        ([-5.0, 2.0], [1e5], False, False),
        ([1.0], [1.0], False, False),
    ],
)
def test_score_axis_suits_the_scores(good: list[float], defective: list[float], logarithmic: bool, cut: bool) -> None:
    svg = draw_scores(np.array(good), np.array(defective), np.empty(0), None)
    texts = [
        "".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter() if "text" in element.tag
    ]
    assert ("10" in texts and "1" in texts) == logarithmic
    assert ("last bar: 1000 and more" in texts) == cut
    assert "good, not trained on (0)" not in texts


def test_figures_take_their_colours_from_the_page_and_leave_matplotlib_alone(calibration: Calibration) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    good, defective = np.array(GOOD_SCORES), np.array([3.0, 9.0])
    rates = error_rates(good, defective, calibration.threshold)
    figures = [
        draw_roc(roc_curve(good, defective), rates),
        draw_scores(good, defective, CALIBRATION_SCORES, calibration),
        draw_calibration(calibration_curve(calibration, good), 0.05, rates),
    ]
    assert dict(mpl.rcParams) == before
    for svg in figures:
        ElementTree.fromstring(svg)
        assert "currentColor" in svg
        assert not re.search(r"#0[0-9]0[0-9]0[0-9]\b", svg)
        assert "<style" not in svg
        assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", svg)
    assert "good, not trained on (39)" in figures[1]
    assert draw_roc(roc_curve(good, defective), rates) == figures[0]
