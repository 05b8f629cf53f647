"""A Gaussian with shrunk covariance: the whitening alone, without blocks behind it."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from differnet.flow.density import InvertibleDensityModel
from differnet.flow.whitening import Whitening

__all__ = ["Gaussian"]


class Gaussian(InvertibleDensityModel):
    """The density of feature vectors as a Gaussian; nothing of it is trained.

    Its energy is the squared Mahalanobis distance divided by d, by the covariance that Ledoit and Wolf estimate, a
    strong baseline of anomaly detection (Rippel et al., "Modeling the Distribution of Normal Data in Pre-Trained Deep
    Features for Anomaly Detection", ICPR 2020), and what a `NormalizingFlow` with whitening is before it is trained.

    Args:
        features: Number of features, d.

    Example:
        >>> import torch
        >>> gaussian = Gaussian(features=8)
        >>> gaussian.start([torch.randn(100, 8)])
        >>> gaussian.energy(torch.zeros(4, 8)).shape
        torch.Size([4])
    """

    name = "gaussian"
    batches_members = True

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.whitening = Whitening(features)

    @property
    def starts_fitted(self) -> bool:
        """It does."""
        return True

    def start(self, batches: Iterable[Tensor]) -> None:
        """Fit mean and covariance to all vectors, see `DensityModel.start`."""
        self.whitening.fit_batches(batches)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, d) features to whitened ones and the (B,) log-determinants."""
        z, log_det = self.whitening(y)
        return z, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Map (B, d) whitened features back."""
        return self.whitening.inverse(z)
