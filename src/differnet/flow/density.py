"""What the density of good images' features is asked for, whichever model it is."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import Self

from differnet.settings import FlowSettings

__all__ = ["DensityModel", "InvertibleDensityModel", "Layer", "StoredPrecision", "negative_log_likelihood"]

StoredPrecision: TypeAlias = Literal["float32", "float16"]


class Layer(nn.Module, ABC):
    """A part of a density model that knows which values it can have learnt."""

    @abstractmethod
    def wrong(self) -> str | None:
        """The name of a tensor whose values no training gives; None if all can be."""


class DensityModel(nn.Module, ABC):
    """The density p of feature vectors of good images: f_NF of the paper, or what stands in its place.

    For (B, d) vectors y these hold, and `tests/flow/test_density.py` checks them for every registered model:

    - ``energy(y)`` is (B,) and finite, each by its own vector alone, higher where y is less likely;
    - ``loss(y)`` is (B,), ``-log p(y) / d`` up to a constant;
    - both can be differentiated by y, which maps by gradient do, and the loss by the parameters, which training does;
    - `start` and `disturb` are all that training needs to know of a model beside its loss;
    - all that was learnt lies in parameters and buffers: ``load_state(state("float32"))`` gives the same model;
    - `round_to` twice is as once, and a model that was rounded is to the last bit what `load_state` makes of its
      `state` in that precision, so that a saved model scores as the one in memory;
    - ``torch.export`` can follow `energy`: no step depends on the values.

    Attributes:
        name: By which ``flow.kind`` chooses it.
        features: Number of features, d.
        batches_members: Whether `energy` and `loss` also take (M, B, d), for M members whose tensors are stacked; for
            models whose floating-point tensors are all in `torch.nn.Linear` and `Whitening` layers.
    """

    name: ClassVar[str]
    batches_members: ClassVar[bool] = False

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    @classmethod
    def from_settings(cls, features: int, settings: FlowSettings) -> Self:
        """Make a model that has learnt nothing yet; to be overridden by models that settings concern.

        Args:
            features: Number of features, d.
            settings: Of which it takes those that concern it.
        """
        return cls(features)

    @abstractmethod
    def energy(self, y: Tensor) -> Tensor:
        """How unlikely vectors are, what scores are made of: (B, d) -> (B,)."""

    @abstractmethod
    def loss(self, y: Tensor) -> Tensor:
        """What training minimises, ``-log p(y) / d`` up to a constant: (B, d) -> (B,)."""

    def start(self, batches: Iterable[Tensor]) -> None:
        """Fit what has a closed form, before training; nothing unless overridden.

        Args:
            batches: All training vectors, (B, d) float32 each. Where views are drawn afresh each batch takes a while:
                it is only read by models that need it.

        Raises:
            DatasetError: If vectors are needed and there are none.
        """

    def disturb(self, y: Tensor) -> Tensor:
        """Add the noise that training vectors get, anew in every step: (B, d) -> (B, d); none unless overridden."""
        return y

    @property
    def is_trainable(self) -> bool:
        """Whether there is anything left to train after `start`."""
        return any(parameter.requires_grad for parameter in self.parameters())

    @property
    def starts_fitted(self) -> bool:
        """Whether `start` gives a model that is to be kept if training finds no better one."""
        return False

    @property
    def member_count(self) -> int:
        """The number of models that this is the mean of."""
        return 1

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self._any_tensor().device

    def state(self, stored: StoredPrecision) -> dict[str, Tensor]:
        """All that was learnt, by name, as a model file holds it.

        Args:
            stored: ``float16`` halves matrices; vectors, such as a whitening's variances, stay.
        """
        return {name: tensor.to(_stored_dtype(tensor, stored)) for name, tensor in self.state_dict().items()}

    def load_state(self, state: Mapping[str, Tensor], stored: StoredPrecision) -> None:
        """The reverse of `state`; the model takes the tensors over, also one that was made on the meta device.

        Args:
            state: By name; others may be there too.
            stored: Of `state`.

        Raises:
            KeyError: With its name, if a tensor is missing.
            ValueError: With its name, if a tensor is not of the expected shape or dtype, or has values that no training
                gives.
        """
        own = self.state_dict()
        for name, expected in own.items():
            if state[name].shape != expected.shape or state[name].dtype != _stored_dtype(expected, stored):
                raise ValueError(name)
        self.load_state_dict({name: state[name].to(expected.dtype) for name, expected in own.items()}, assign=True)
        for name, module in self.named_modules():
            if isinstance(module, Layer) and (wrong := module.wrong()) is not None:
                raise ValueError(f"{name}.{wrong}")

    @torch.no_grad()
    def round_to(self, stored: StoredPrecision) -> None:
        """Round to what a model file will hold."""
        for tensor in self.state_dict().values():
            tensor.copy_(tensor.to(_stored_dtype(tensor, stored)))

    def _any_tensor(self) -> Tensor:
        return next(itertools.chain(self.parameters(), self.buffers()))


class InvertibleDensityModel(DensityModel):
    """A density by an invertible map f to a standard normal distribution, ``log p(y) = log N(f(y)) + log |det df/dy|``.

    Beside the identities of `DensityModel` these hold for ``z, log_det = model(y)``:

    - ``inverse(z)`` is y;
    - ``log_det`` is log |det dz/dy|, in agreement with autograd's Jacobian;
    - ``energy(y)`` is the mean of z squared, and ``loss(y)`` is ``energy(y) / 2 - log_det / d``.
    """

    @abstractmethod
    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Map features to the latent space.

        Args:
            y: (B, d) features.

        Returns:
            z: (B, d) latent vectors.
            log_det: (B,) log |det dz/dy|, from the same pass.
        """

    @abstractmethod
    def inverse(self, z: Tensor) -> Tensor:
        """Map (B, d) latent vectors back to (B, d) features."""

    def energy(self, y: Tensor) -> Tensor:
        """The mean of z squared over the d latent values: (B, d) features -> (B,), what scores are made of."""
        return self(y)[0].square().mean(dim=-1)

    def loss(self, y: Tensor) -> Tensor:
        """The `negative_log_likelihood` of (B, d) features, (B,)."""
        return negative_log_likelihood(*self(y))

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw (count, d) feature vectors from the learnt density, by the inverse."""
        z = torch.randn(count, self.features, generator=generator)
        return self.inverse(z.to(self._any_tensor()))


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


def _stored_dtype(tensor: Tensor, stored: StoredPrecision) -> torch.dtype:
    halved = stored == "float16" and tensor.dim() == 2 and tensor.is_floating_point()
    return torch.float16 if halved else tensor.dtype
