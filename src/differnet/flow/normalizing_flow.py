"""f_NF: the normalizing flow, Real-NVP coupling blocks with fixed random permutations (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import Self

from differnet.errors import SettingsError
from differnet.flow.coupling import OFFICIAL_CLAMP_FACTOR, TWO_OVER_PI, CouplingBlock
from differnet.flow.density import InvertibleDensityModel
from differnet.flow.whitening import Whitening
from differnet.settings import FlowSettings

__all__ = ["NormalizingFlow"]


class NormalizingFlow(InvertibleDensityModel):
    """The density of feature vectors: an invertible map to a standard normal distribution.

    In the paper features go in as they are. With ``whiten`` the first layer is a `Whitening`, and the blocks start as
    the identity, so that the untrained flow is a Gaussian, and training can stop there if the data say no more.

    Args:
        features: Number of features, d.
        blocks: Number of coupling blocks.
        hidden: Width of the subnets' hidden layers.
        clamp: The a of the soft clamp.
        clamp_factor: Stands for 2 / pi in the soft clamp; the official code writes 0.636.
        permutation_seed: Block k permutes by NumPy's ``RandomState(permutation_seed + k).permutation(d)``; 0 gives
            the official permutations. They are buffers and so travel with the weights.
        whiten: Begin with a `Whitening`, which is to be fitted before training.

    Example:
        >>> flow = NormalizingFlow(features=768, hidden=64)
        >>> z, log_det = flow(torch.zeros(4, 768))
        >>> z.shape, log_det.shape
        (torch.Size([4, 768]), torch.Size([4]))
    """

    name = "real-nvp"
    batches_members = True

    def __init__(
        self,
        features: int,
        blocks: int = 8,
        hidden: int = 2048,
        clamp: float = 3.0,
        *,
        clamp_factor: float = TWO_OVER_PI,
        permutation_seed: int = 0,
        whiten: bool = False,
    ) -> None:
        super().__init__(features)
        if features < 2 or blocks < 1 or hidden < 1 or not clamp > 0.0:
            raise SettingsError("A flow needs at least 2 features, 1 block, 1 hidden unit and a clamp above 0.")
        self.blocks = nn.ModuleList(
            CouplingBlock(features, hidden, clamp, _permutation(permutation_seed + k, features), clamp_factor)
            for k in range(blocks)
        )
        self.whitening = Whitening(features) if whiten else None
        if whiten:
            for block in self.blocks:
                cast("CouplingBlock", block).become_identity()

    @classmethod
    def from_settings(cls, features: int, settings: FlowSettings) -> Self:
        """Make a flow with fresh weights."""
        return cls(
            features,
            settings.blocks,
            settings.hidden,
            settings.clamp,
            clamp_factor=OFFICIAL_CLAMP_FACTOR if settings.official_clamp_factor else TWO_OVER_PI,
            whiten=settings.whiten,
        )

    @property
    def starts_fitted(self) -> bool:
        """With a whitening it starts as a Gaussian."""
        return self.whitening is not None

    def start(self, batches: Iterable[Tensor]) -> None:
        """Fit the whitening, if there is one."""
        if self.whitening is not None:
            self.whitening.fit_batches(batches)

    def disturb(self, y: Tensor) -> Tensor:
        """Add the noise of the shrunk covariance, see `Whitening.disturb`."""
        return y if self.whitening is None else self.whitening.disturb(y)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map features to the latent space.

        Args:
            y: (B, d) features.

        Returns:
            z: (B, d) latent vectors.
            log_det: (B,) log |det dz/dy|, from the same pass.
        """
        z, log_det = (y, y.new_zeros(y.shape[:-1])) if self.whitening is None else self.whitening(y)
        for block in self.blocks:
            z, block_log_det = block(z)
            log_det = log_det + block_log_det
        return z, log_det

    def inverse(self, z: Tensor) -> Tensor:
        """Map (B, d) latent vectors back to (B, d) features."""
        y = z
        for block in reversed([*self.blocks]):
            y = cast("CouplingBlock", block).inverse(y)
        return y if self.whitening is None else self.whitening.inverse(y)


def _permutation(seed: int, features: int) -> Tensor:
    if torch.get_default_device().type == "meta":  # of a model that is loaded, which brings its own
        return torch.empty(features, dtype=torch.int64)
    return torch.from_numpy(np.random.RandomState(seed).permutation(features)).long()
