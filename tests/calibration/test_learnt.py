"""Scores that only images which training saw would have are told from others."""

from __future__ import annotations

import numpy as np

from differnet.calibration import seem_learnt


def test_scores_far_below_those_of_unseen_images_seem_learnt() -> None:
    rng = np.random.default_rng(0)
    unseen, others = rng.normal(size=(2, 60)).astype(np.float32)
    assert seem_learnt(unseen, others - 3)
    assert not seem_learnt(unseen, others)
    assert not seem_learnt(unseen, others + 3)
    assert not seem_learnt(unseen, others[:9] - 3)
    assert not seem_learnt(unseen, unseen)
    assert not seem_learnt(np.ones(20, np.float32), np.ones(20, np.float32))


def test_chance_makes_no_scores_seem_learnt() -> None:
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(2000, 2, 30)).astype(np.float32)
    assert not any(seem_learnt(unseen, scores) for unseen, scores in draws)
