"""How unusual the parts of a reduced image are at their places: one Gaussian for each of its windows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import torch
from torch import Tensor

__all__ = ["WindowCollector", "WindowDensity"]

_PARTS = 5
_MOST_IMAGES = 4096
# Of this share of what all windows, and all channels, vary by, every one does too: where good images show nothing,
# little is not everything. With the least deviation and variance, half precision holds what they are divided by.
_COMMON = 0.01
_LEAST = 1e-3
_SMALLEST = 1e-12
# As if so many images more had the spread that all windows have in common.
_USUAL_IMAGES = 40


@dataclass(frozen=True)
class WindowDensity:
    """What is usual of each of the P windows of an image.

    A cell is compared with good cells wherever they lie, a window with those that lay where it lies: what is strange at
    this place alone, or too large for a cell, is seen here. Between the whole, which the flow judges, and the cells.

    Attributes:
        means: (P, D) float32.
        whitening: (P, D, D) float32, representable in half precision, in which it is stored.
        usual: (P, 2) float32, mean and deviation of the energy of unseen good images.
    """

    means: Tensor
    whitening: Tensor
    usual: Tensor

    def energy(self, windows: Tensor) -> Tensor:
        """The squared Mahalanobis distance of (N, P, D) windows, divided by D: (N, P) float32."""
        centred = (windows.float() - self.means).transpose(0, 1)
        return torch.bmm(centred, self.whitening).square().mean(-1).T

    def standardised_energy(self, windows: Tensor) -> Tensor:
        """How many standard deviations above the usual (q, q, D) windows lie: (q, q) float32."""
        mean, deviation = self.usual.unbind(1)
        energy = self.energy(windows.flatten(0, 1).unsqueeze(0))[0]
        return ((energy - mean) / deviation).view(windows.shape[:2])

    @classmethod
    def fit(cls, windows: Tensor) -> WindowDensity:
        """Fit a Gaussian to each window of (n, P, D) ones of good images; what energies are usual is not known yet.

        Its covariance is shrunk as Ledoit and Wolf do ("A well-conditioned estimator for large-dimensional covariance
        matrices", Journal of Multivariate Analysis 2004), that of the flow's whitening likewise.
        """
        from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 - 1.7 s of imports that scoring must not need

        values = windows.float().transpose(0, 1)
        means = values.mean(1)
        values = values - means.unsqueeze(1)
        variances = values.square().mean(1)
        common = _COMMON * variances.mean(0) + _COMMON**2 * variances.mean()
        deviations = (variances + common).sqrt().clamp_min(_LEAST)
        values = values / deviations.unsqueeze(1)
        size = values.shape[2]
        # Of one image alone there is nothing to estimate, which scikit-learn would warn of.
        shrunk = [ledoit_wolf(each, assume_centered=True)[0] for each in values.double().numpy() if len(each) > 1]
        covariance = torch.from_numpy(np.stack(shrunk)) if shrunk else torch.zeros(len(means), size, size).double()
        covariance.diagonal(dim1=1, dim2=2).add_(_LEAST)
        lower = torch.linalg.cholesky(covariance)
        unit = torch.eye(size, dtype=lower.dtype).expand_as(lower)
        inverse = torch.linalg.solve_triangular(lower, unit, upper=False)
        whitening = (inverse / deviations.double().unsqueeze(1)).transpose(1, 2).half().float()
        return cls(means, whitening, torch.tensor([0.0, 1.0]).repeat(len(means), 1))

    def measured(self, energies: Tensor) -> WindowDensity:
        """The density that knows what is usual, from (n, P) energies of images that it was not fitted to."""
        energies = energies.double()
        count, common = len(energies), energies.var(0, correction=0).mean()
        mean = (energies.sum(0) + _USUAL_IMAGES * energies.mean()) / (count + _USUAL_IMAGES)
        squares = (energies - energies.mean(0)).square().sum(0)
        deviation = ((squares + _USUAL_IMAGES * common) / (count + _USUAL_IMAGES)).sqrt().clamp_min(_SMALLEST)
        return replace(self, usual=torch.stack([mean, deviation], 1).float())

    def state(self) -> dict[str, Tensor]:
        """The tensors by name."""
        return {"means": self.means, "whitening": self.whitening.half(), "usual": self.usual}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> WindowDensity:
        """The reverse of `state`.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        means, whitening, usual = state["means"], state["whitening"], state["usual"]
        if means.dtype != torch.float32 or means.dim() != 2 or not len(means) or not means.isfinite().all():
            raise ValueError("means")
        count, size = means.shape
        shaped = whitening.dtype == torch.float16 and whitening.shape == (count, size, size)
        if not (shaped and whitening.isfinite().all()):
            raise ValueError("whitening")
        shaped = usual.dtype == torch.float32 and usual.shape == (count, 2)
        if not (shaped and usual.isfinite().all() and (usual[:, 1] > 0).all()):
            raise ValueError("usual")
        return cls(means, whitening.float(), usual)

    def to(self, device: torch.device) -> WindowDensity:
        """The same on a device."""
        return WindowDensity(self.means.to(device), self.whitening.to(device), self.usual.to(device))


class WindowCollector:
    """Keeps the windows of good images, 10 kB of each, of up to 4096 images.

    Args:
        images: Number of images to come.
    """

    def __init__(self, images: int) -> None:
        self._step = -(-images // _MOST_IMAGES)
        self._seen = 0
        self._kept: list[Tensor] = []
        self._places: list[int] = []
        self._usual: Tensor | None = None

    def add(self, place: int, windows: Tensor) -> None:
        """Take the (q, q, D) windows of an image, given its place among the images."""
        if self._seen % self._step == 0:
            self._kept.append(windows.flatten(0, 1).cpu().half())
            self._places.append(place)
            self._usual = None
        self._seen += 1

    def fit(self, without: Collection[int] = ()) -> WindowDensity:
        """Fit the Gaussians; what energies are usual comes from all images, as for the cells.

        Args:
            without: Places of images that are left out; not all.
        """
        used = [place not in without for place in self._places]
        windows = torch.stack([*compress(self._kept, used)])
        if self._usual is None:
            self._usual = _held_out_energies(torch.stack(self._kept), self._places)
        return WindowDensity.fit(windows).measured(self._usual)


def _held_out_energies(windows: Tensor, places: Sequence[int]) -> Tensor:
    """The (n, P) energies of images by Gaussians of the others, a fifth of the images at a time."""
    _, of_image = torch.tensor(places).unique(return_inverse=True)
    images = int(of_image.max()) + 1
    energies = torch.empty(windows.shape[:2])
    for part in range(min(_PARTS, images)):
        held_out = of_image % _PARTS == part
        # Of one image alone nothing can be held out.
        others = windows if images == 1 else windows[~held_out]
        energies[held_out] = WindowDensity.fit(others).energy(windows[held_out])
    return energies
