"""The flow's first layer for small data: an invertible linear map that gives good features a unit covariance."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from differnet.errors import DatasetError
from differnet.flow.density import Layer

__all__ = ["Whitening"]

_EPS = 1e-6
# Where features are uncorrelated already the shrinkage comes near 1; as noise it would drown all that is left to learn.
_MOST_NOISE = 0.2
_MOST_VECTORS = 50_000


class Whitening(Layer):
    """Maps features y to ``((y - mean) / deviation) @ basis / sqrt(variances)``.

    The covariance of the standardised features is shrunk towards a multiple of the identity by Ledoit and Wolf ("A
    well-conditioned estimator for large-dimensional covariance matrices", Journal of Multivariate Analysis 2004), so
    that directions in which few images happen not to vary count no more than the data can say. Alone, with a standard
    normal base, this layer is the Gaussian whose Mahalanobis distance is a strong baseline of anomaly detection (Rippel
    et al., ICPR 2020).

    Args:
        features: Number of features, d.
    """

    mean: Tensor
    deviation: Tensor
    basis: Tensor
    variances: Tensor
    noise: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("deviation", torch.ones(features))
        # Not torch.eye: on the meta device, where models are loaded, that imports torch's compiler, over a second.
        self.register_buffer("basis", torch.zeros(features, features).fill_diagonal_(1.0))
        self.register_buffer("variances", torch.ones(features))
        # Share that noise takes from the data, and the variance that it adds in every direction; see `disturb`.
        self.register_buffer("noise", torch.zeros(2))

    @torch.no_grad()
    def fit(self, vectors: Tensor) -> None:
        """Learn from (n, d) features of good images."""
        from sklearn.covariance import ledoit_wolf  # noqa: PLC0415 - 1.7 s of imports that scoring must not need

        # Evenly spread over many, which tell a covariance of hundreds of features as well as all of them.
        values = vectors[:: -(-len(vectors) // _MOST_VECTORS)].double()
        mean, deviation = values.mean(0), values.std(0, correction=0) + _EPS
        standardised = ((values - mean) / deviation).cpu().numpy()
        covariance, shrinkage = ledoit_wolf(standardised, assume_centered=True)
        variances, basis = np.linalg.eigh(covariance)
        noise = min(shrinkage, _MOST_NOISE)
        added = noise * float(np.square(standardised).mean())
        fitted = {
            "mean": mean,
            "deviation": deviation,
            "basis": torch.from_numpy(basis[:, ::-1].copy()),
            "variances": torch.from_numpy(variances[::-1].copy()).clamp_min(_EPS),
            "noise": torch.tensor([noise, added]),
        }
        for name, tensor in fitted.items():
            getattr(self, name).copy_(tensor)

    def fit_batches(self, batches: Iterable[Tensor]) -> None:
        """Learn from batches of (B, d) features of good images, on whichever device.

        Raises:
            DatasetError: If there are none.
        """
        every = [*batches]
        if not every:
            raise DatasetError("None of the training images can be read; give images of good parts.")
        self.fit(torch.cat(every).to(self.mean.device))

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, d) features to (B, d) whitened ones and the (B,) log-determinants of the Jacobian."""
        z = ((y - self.mean) / self.deviation) @ self.basis / self.variances.sqrt()
        # The basis is a rotation: its determinant is 1 (up to 1e-3 where it was rounded to be stored).
        log_det = -self.deviation.log().sum(-1) - 0.5 * self.variances.log().sum(-1)
        return z, log_det.expand(z.shape[:-1])

    def wrong(self) -> str | None:
        """What is divided by and is not above 0."""
        return next((name for name in ("deviation", "variances") if not bool((getattr(self, name) > 0).all())), None)

    def inverse(self, z: Tensor) -> Tensor:
        """Map (B, d) whitened features back."""
        # Solved, not transposed: a basis that was rounded to be stored is not quite orthogonal.
        standardised = torch.linalg.solve(self.basis.T, (z * self.variances.sqrt()).T).T
        return standardised * self.deviation + self.mean

    def disturb(self, y: Tensor) -> Tensor:
        """Draw noisy copies of (B, d) training features whose covariance is the shrunk one.

        ``sqrt(1 - a) (y - mean) + sqrt(a mu) e`` with e ~ N(0, 1) has exactly the covariance that Ledoit and Wolf
        estimate (up to a = 0.2), so the blocks behind this layer start at the optimum of second moments and learn what
        is left, and directions in which the training images do not vary at all cannot be blown up.
        """
        shrinkage, added = self.noise
        centred = (y - self.mean) * (1.0 - shrinkage).sqrt()
        return self.mean + centred + self.deviation * added.sqrt() * torch.randn_like(y)
