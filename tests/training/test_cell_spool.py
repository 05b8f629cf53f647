"""The cells of many images on disk: given back as they were, in any order; a full disk is a clear error."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator

import pytest
import torch

from differnet.errors import OutputError
from differnet.localization.neighbours.cells import CellGrids
from differnet.training.cell_spool import CellSpool


def grids(seed: int, side: int = 4) -> CellGrids:
    generator = torch.Generator().manual_seed(seed)
    return CellGrids(torch.randn(side, side, 6, generator=generator), torch.randn(2, 2, 6, generator=generator))


@pytest.fixture
def tiny_files() -> Iterator[None]:
    """The operating system refuses files of more than 4096 bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_cells_come_back_in_any_order_rounded_to_half_precision() -> None:
    with CellSpool() as spool:
        for seed in range(5):
            spool.add(grids(seed))
        assert len(spool) == 5
        for seed in (3, 0, 4, 4, 1):
            back, expected = spool[seed], grids(seed)
            assert isinstance(back, CellGrids)
            assert back.fine.dtype == back.coarse.dtype == torch.float32
            assert torch.equal(back.fine, expected.fine.half().float())
            assert torch.equal(back.coarse, expected.coarse.half().float())


def test_reading_between_writes_loses_nothing() -> None:
    with CellSpool() as spool:
        spool.add(grids(0))
        _ = spool[0]
        spool.add(grids(1))
        for seed in (0, 1):
            assert torch.equal(spool[seed].tensors()["fine"], grids(seed).fine.half().float())


@pytest.mark.usefixtures("tiny_files")
def test_a_full_temporary_folder_says_what_to_do() -> None:
    with CellSpool() as spool, pytest.raises(OutputError, match="TMPDIR"):
        for seed in range(100):
            spool.add(grids(seed, side=16))
