"""What a report says in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from differnet.calibration import Calibration, calibrate
from differnet.report.content import describe_promise, describe_rates, percent
from tests.report.evaluations import make_evaluation
from tests.report.page import plain


def test_words_follow_the_numbers(tmp_path: Path, calibration: Calibration) -> None:
    def outcome(refused: int, of: int, chosen: Calibration) -> str:
        good = [1.0] * (of - refused) + [100.0] * refused
        return plain(describe_rates(make_evaluation(tmp_path, chosen, good, {"hole": [200.0]}), chosen))

    assert "2 are refused (5 %; 0.6 to 16.9 %)" in outcome(2, 40, calibration)
    assert "the two agree" in outcome(2, 40, calibration)
    assert "1 is refused" in outcome(1, 40, calibration)
    assert "differnet calibrate" in outcome(20, 40, calibration)
    wide = calibrate(np.linspace(1.0, 2.9, 999), 0.4)
    assert "fewer than the promise explains" in outcome(0, 40, wide)
    tail = calibrate(np.random.default_rng(0).lognormal(size=25), 0.01, tail="generalized-pareto")
    assert outcome(0, 40, tail).endswith("which agrees with the stated rate.")
    assert "does not agree" in outcome(20, 40, tail)

    assert "extrapolated" in " ".join(describe_promise(tail, "images"))
    held_out, crossed = (" ".join(describe_promise(calibration, source)) for source in ("held-out", "cross-fitted"))
    assert "between" in held_out
    assert "between" not in crossed
    assert "not known exactly" in crossed
    assert [plain(percent(share)) for share in (0.0, 0.0004, 0.05, 0.3333, 1.0)] == [
        "0 %", "0.04 %", "5 %", "33.3 %", "100 %",
    ]  # fmt: skip
