"""Which stages describe which grid."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from differnet.localization.mixture.cells import (
    ReducedDescriber,
    StageDescriber,
    WindowDescriber,
)

# Of an image of 64 pixels: strides of 4, 8, 16 and 32.
STAGES = [torch.arange(2.0 * side * side).view(1, 2, side, side) for side in (16, 8, 4, 2)]


@pytest.mark.parametrize(("resolved", "fine"), [(True, 4), (False, 6)])
def test_a_stage_coarser_than_the_fine_grid_describes_the_others_alone(resolved: bool, fine: int) -> None:
    [cells] = StageDescriber(3, resolved=resolved).describe(STAGES, 64)
    assert cells.fine.shape == (4, 4, fine)
    assert cells.coarse.shape == (2, 2, 6)
    # The stage of stride 16 as it is, that of stride 32 as it is.
    assert torch.equal(cells.fine[..., 2:4], STAGES[2][0].permute(1, 2, 0))
    assert torch.equal(cells.coarse[..., 4:6], STAGES[3][0].permute(1, 2, 0))


def test_the_reduced_image_is_described_by_all_stages() -> None:
    [cells] = ReducedDescriber(3).describe(STAGES, 64)
    assert cells.reduced.shape == (4, 4, 6)


@pytest.mark.parametrize("sides", [(16, 8, 4), (14, 7, 5)])
def test_windows_are_means_over_quarters_of_the_last_stages(sides: tuple[int, ...]) -> None:
    stages = [torch.rand(1, 2, side, side) for side in sides]
    [cells] = WindowDescriber(3).describe(stages, 16 * sides[1])
    assert cells.windows.shape == (4, 4, 4)
    for place, maps in enumerate(stages[1:]):
        # Cells on a border count by the part of them that lies within: as of maps of which each is cut into 4 x 4.
        fine = maps.repeat_interleave(4, 2).repeat_interleave(4, 3)
        expected = functional.avg_pool2d(fine, maps.shape[-1])[0].permute(1, 2, 0)
        assert torch.allclose(cells.windows[..., 2 * place : 2 * place + 2], expected, atol=1e-6)


def test_two_describers_are_the_same_only_if_they_describe_alike() -> None:
    keys = {StageDescriber(stages, resolved=resolved).key for stages in (3, 4) for resolved in (True, False)}
    assert len(keys) == 4
