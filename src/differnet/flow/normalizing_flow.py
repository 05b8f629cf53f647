"""f_NF: the normalizing flow, Real-NVP coupling blocks with fixed random permutations (paper, section 3.2)."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from differnet.errors import SettingsError
from differnet.flow.coupling import TWO_OVER_PI, CouplingBlock
from differnet.flow.whitening import Whitening

__all__ = ["NormalizingFlow", "negative_log_likelihood"]


class NormalizingFlow(nn.Module):
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
        super().__init__()
        if features < 2 or blocks < 1 or hidden < 1 or not clamp > 0.0:
            raise SettingsError("A flow needs at least 2 features, 1 block, 1 hidden unit and a clamp above 0.")
        self.features = features
        permutations = (np.random.RandomState(permutation_seed + k).permutation(features) for k in range(blocks))
        self.blocks = nn.ModuleList(
            CouplingBlock(features, hidden, clamp, torch.from_numpy(permutation).long(), clamp_factor)
            for permutation in permutations
        )
        self.whitening = Whitening(features) if whiten else None
        if whiten:
            for block in self.blocks:
                cast("CouplingBlock", block).become_identity()

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

    def energy(self, y: Tensor) -> Tensor:
        """The mean of z squared over the d latent values: (B, d) features -> (B,), what scores are made of."""
        return self(y)[0].square().mean(dim=-1)

    def loss(self, y: Tensor) -> Tensor:
        """The `negative_log_likelihood` of (B, d) features, (B,)."""
        return negative_log_likelihood(*self(y))

    @torch.no_grad()
    def round_matrices(self) -> None:
        """Round all matrices to half precision, as they are stored; vectors and the whitening's variances stay."""
        for tensor in self.state_dict().values():
            if tensor.dim() == 2:
                tensor.copy_(tensor.half())

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (count, d) feature vectors from the learnt density, by the inverse."""
        z = torch.randn(count, self.features, generator=generator)
        return self.inverse(z.to(next(self.parameters())))


def negative_log_likelihood(z: Tensor, log_det: Tensor) -> Tensor:
    """The training loss per vector, ``||z||^2 / 2 - log |det dz/dy|`` divided by d (paper, equation 4).

    Constant terms are left out, and the division by the number of features is the official code's.

    Args:
        z: (B, d) latent vectors.
        log_det: (B,) log-determinants.

    Returns:
        (B,) losses.
    """
    return (0.5 * z.square().sum(dim=-1) - log_det) / z.shape[-1]
