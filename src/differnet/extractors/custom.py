"""A user's own network as an extractor."""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from differnet.errors import SettingsError
from differnet.extractors.base import IMAGENET_MEAN, IMAGENET_STD, Extractor
from differnet.extractors.checkpoints import fingerprint
from differnet.extractors.submodules import SubmoduleReader
from differnet.settings import EXTRACTOR_NAME

__all__ = ["CustomExtractor"]


class CustomExtractor(Extractor):
    """Any network from (B, 3, H, W) images to maps of several sizes, as an extractor.

    The network is copied, so that what becomes of it later changes nothing here.

    Args:
        network: Its submodules are read, if ``stages`` names them; else it returns a list, tuple or mapping of maps,
            (B, C_i, h_i, w_i), from fine to coarse, or a single tensor of maps.
        stages: Names of submodules, from fine to coarse, in the order in which they compute. The last ones are the
            feature maps; one of the others should have about a sixteenth of the image's side, since the local model
            and the map by neighbours have the resolution of the one nearest to that.
        name: What model files call it.
        mean: Per-channel mean that the network was trained with, for values in [0, 1].
        std: Per-channel standard deviation, likewise.
        min_size: Smallest side of an image that the network takes, in pixels.

    Raises:
        SettingsError: If the name is not usable, the network fails on an image of ``min_size``, or what it gives are
            no maps.

    Example:
        >>> extractor = CustomExtractor(network, ["layer1", "layer2", "layer3"], name="ours")  # doctest: +SKIP
        >>> model = DifferNet(extractor=extractor).fit("bottle/train/good")  # doctest: +SKIP
        >>> DifferNet.load("bottle.safetensors", extractor=extractor)  # doctest: +SKIP
    """

    def __init__(
        self,
        network: nn.Module,
        stages: Sequence[str] | None = None,
        *,
        name: str,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        min_size: int = 64,
    ) -> None:
        if not re.fullmatch(EXTRACTOR_NAME, name):
            raise SettingsError(f"'{name}' is no name for an extractor; take letters, digits, '.', '_' and '-'.")
        # Before the base makes buffers of them.
        self.mean, self.std, self.min_size = mean, std, min_size
        super().__init__()
        self.name = name
        own = copy.deepcopy(network)
        self.network: nn.Module = own if stages is None else SubmoduleReader(own, stages)
        self.freeze()
        self.stage_channels, self.channels = self._channels()

    @property
    def backbone(self) -> nn.Module:
        """The network that was given."""
        return self.network.network if isinstance(self.network, SubmoduleReader) else self.network

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over name, weights, stages and normalisation: all but the code that features depend on."""
        state = {name: tensor.detach().cpu().float() for name, tensor in self.backbone.state_dict().items()}
        learnt = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
        names = self.network.names if isinstance(self.network, SubmoduleReader) else None
        numbers = (tuple(map(float, self.mean)), tuple(map(float, self.std)))
        return hashlib.sha256(f"{self.name} {names} {numbers} {fingerprint(learnt)}".encode()).hexdigest()

    def stages(self, normalised: Tensor) -> Iterator[Tensor]:
        """Yield the maps of every stage; a network that gives a single one has it as its only stage too."""
        yield from self._maps(normalised)

    def forward_stages(self, images: Tensor, last: int = -2) -> list[Tensor]:
        """Compute the maps up to a stage; a network whose submodules are read is left there."""
        count = len(self.stage_channels) + 2 + last
        return self._maps(self._normalise(images), count)

    def _maps(self, normalised: Tensor, count: int | None = None) -> list[Tensor]:
        reader = self.network
        if isinstance(reader, SubmoduleReader):
            only = len(reader.names) == 1
            found = reader(normalised, None if only else count)
        else:
            result = reader(normalised)
            found = list(result.values()) if isinstance(result, Mapping) else result
            found = [found] if isinstance(found, Tensor) else list(found)
        if len(found) == 1 and (count is None or count > 1):
            found = found * 2
        return found[:count]

    def _channels(self) -> tuple[tuple[int, ...], int]:
        """The numbers of maps, measured on a grey image."""
        size = self.min_size
        like = next(self.network.parameters(), torch.empty(0))
        grey = torch.zeros(1, 3, size, size, dtype=like.dtype, device=like.device)
        try:
            with torch.no_grad():
                maps = self._maps(grey)
        except SettingsError:
            raise
        except Exception as error:
            raise SettingsError(
                f"The extractor '{self.name}' fails on an image of {size} x {size} pixels ({error}); give min_size, "
                "the smallest side that it takes."
            ) from error
        shapes = [tuple(of_stage.shape) if isinstance(of_stage, Tensor) else () for of_stage in maps]
        if not shapes or any(len(shape) != 4 or shape[0] != 1 or shape[2] != shape[3] for shape in shapes):
            raise SettingsError(
                f"The extractor '{self.name}' gives results of the shapes {shapes} for one image; its stages must give "
                "maps, (1, channels, height, width), square for a square image."
            )
        sides = [shape[2] for shape in shapes]
        if sides != sorted(sides, reverse=True):
            raise SettingsError(
                f"The stages of the extractor '{self.name}' have maps of the sides {sides}; name them from fine to "
                "coarse."
            )
        *before, last = (shape[1] for shape in shapes)
        return tuple(before), last
