"""Reading what submodules of any network compute, without changing its code."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from differnet.errors import SettingsError

__all__ = ["SubmoduleReader"]


class SubmoduleReader(nn.Module):
    """A network that gives the results of some of its submodules, and stops at the last that is wanted.

    May be called from several threads at a time.

    Args:
        network: Any network; hooks are added to it.
        names: Of the submodules, as `torch.nn.Module.get_submodule` takes them, in the order in which they compute.

    Raises:
        SettingsError: If there is no such submodule, or none is named.
    """

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.names = tuple(names)
        self._reading: dict[int, dict[str, Tensor]] = {}
        self._wanted: dict[int, int] = {}
        if not self.names:
            raise SettingsError("The stages name no submodule; name at least one.")
        for name in self.names:
            try:
                network.get_submodule(name).register_forward_hook(partial(self._keep, name))
            except AttributeError:
                top = ", ".join(child for child, _ in network.named_children())
                raise SettingsError(
                    f"The network has no submodule '{name}'; name those of named_modules(), such as {top}."
                ) from None

    def forward(self, images: Tensor, count: int | None = None) -> list[Tensor]:
        """Compute the first of the submodules' results.

        Args:
            images: (B, 3, H, W).
            count: How many; None for all.

        Raises:
            SettingsError: If one of them was never called, or gives no tensor.
        """
        wanted = len(self.names) if count is None else count
        if wanted <= 0:
            return []
        thread = threading.get_ident()
        found: dict[str, Tensor] = {}
        self._reading[thread], self._wanted[thread] = found, wanted
        try:
            self.network(images)
        except _Enough:
            pass
        finally:
            del self._reading[thread], self._wanted[thread]
        for name in self.names[:wanted]:
            if not isinstance(found.get(name), Tensor):
                what = "gives no tensor" if name in found else "is not called, or after those named behind it"
                raise SettingsError(f"The submodule '{name}' {what}; name stages in the order in which they compute.")
        return [found[name] for name in self.names[:wanted]]

    def _keep(self, name: str, _module: nn.Module, _inputs: Any, result: Any) -> None:  # noqa: ANN401
        thread = threading.get_ident()
        found = self._reading.get(thread)
        if found is None:
            return
        # A copy: what comes next may compute in place, and would change the maps or not by where the network is left.
        found[name] = result.clone() if isinstance(result, Tensor) else result
        # An exporter loses its way where a call is left unfinished; what is too much it drops itself.
        if name == self.names[self._wanted[thread] - 1] and not torch.compiler.is_exporting():
            raise _Enough


class _Enough(BaseException):
    """Leaves a network once what is wanted of it is known; no `except Exception` within it is to stop that."""
