"""Working on images side by side: order, laziness, errors, and torch's threads as they were."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from differnet.compute.threads import count_workers, cpu_quota, map_ahead, one_thread, workers_with_own_cores


@pytest.fixture
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.usefixtures("four_threads")
class TestWorkersWithOwnCores:
    def test_there_are_as_many_as_torch_may_use_threads(self) -> None:
        assert count_workers() == min(4, math.ceil(cpu_quota() or 4))

    @pytest.mark.parametrize(("workers", "threads"), [(4, 1), (2, 2), (3, 1), (6, 1)])
    def test_they_share_the_threads(self, workers: int, threads: int) -> None:
        everyone = threading.Barrier(workers)

        def ask(_: int) -> int:
            everyone.wait(timeout=30)
            return torch.get_num_threads()

        with workers_with_own_cores(workers) as pool:
            assert list(pool.map(ask, range(workers))) == [threads] * workers
            assert torch.get_num_threads() == 1

    def test_afterwards_all_is_as_before_even_after_an_error(self) -> None:
        with pytest.raises(KeyError), workers_with_own_cores(2):
            raise KeyError
        assert torch.get_num_threads() == 4
        assert threads_of_a_new_thread() == 4


class TestMapAhead:
    def test_results_come_in_order_and_items_are_taken_as_needed(self) -> None:
        taken = 0
        second_done = threading.Event()

        def endless() -> Iterator[int]:
            nonlocal taken
            while True:
                yield taken
                taken += 1

        def double(number: int) -> int:
            if number == 0:  # is done after the one behind it
                second_done.wait(timeout=30)
            if number == 1:
                second_done.set()
            return 2 * number

        with workers_with_own_cores(2) as pool:
            results = map_ahead(pool, double, endless(), ahead=3)
            assert [next(results) for _ in range(4)] == [0, 2, 4, 6]
            results.close()
        assert taken <= 4 + 3

    def test_an_error_is_raised_in_its_place(self) -> None:
        with workers_with_own_cores(2) as pool:
            results = map_ahead(pool, lambda number: 6 // number, [3, 2, 0, 1], ahead=4)
            assert [next(results), next(results)] == [2, 3]
            with pytest.raises(ZeroDivisionError):
                next(results)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_container_is_read(tmp_path: Path, files: dict[str, str], cores: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_quota(tmp_path) == cores


def test_one_thread_is_for_a_while() -> None:
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
