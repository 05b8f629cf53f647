"""TF32 is off inside, and afterwards as it was, also with several threads inside."""

from __future__ import annotations

import threading

import pytest
import torch

from differnet.compute.full_float32 import full_float32


@pytest.mark.parametrize("before", [True, False])
def test_it_is_off_inside_and_as_before_afterwards(before: bool) -> None:
    own = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = before
    try:
        with full_float32():
            assert not torch.backends.cudnn.allow_tf32
            with full_float32():
                assert not torch.backends.cudnn.allow_tf32
            assert not torch.backends.cudnn.allow_tf32
        assert torch.backends.cudnn.allow_tf32 is before
    finally:
        torch.backends.cudnn.allow_tf32 = own


def test_a_thread_that_leaves_does_not_switch_it_on_for_others() -> None:
    entered, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with full_float32():
            entered.set()
            leave.wait(10)

    other = threading.Thread(target=stay)
    with full_float32():
        other.start()
        entered.wait(10)
    try:
        assert not torch.backends.cudnn.allow_tf32
    finally:
        leave.set()
        other.join()
    assert torch.backends.cudnn.allow_tf32
