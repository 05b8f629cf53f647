"""Maximum-likelihood training of the flow, or of another density model (paper, sections 3.2 and 4.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from differnet.compute.threads import one_thread
from differnet.compute.transfer import to_device
from differnet.errors import DatasetError, DivergenceError
from differnet.flow import DensityModel, build_density_model
from differnet.settings import Settings, TrainingSettings
from differnet.training.progress import EpochReport
from differnet.training.state import Part, PartState, TrainingState
from differnet.training.vectors import BankVectors, VectorSource

__all__ = ["TrainingResult", "fit_flow", "train_flow"]

# Parameters of flows whose steps are too small to be divided among threads; the paper's has 172 million.
_SMALL = 4_000_000


@dataclass
class TrainingResult:
    """How a training ended; the flow itself is left at the kept epoch.

    Attributes:
        history: A report for every finished epoch.
        kept_epoch: The epoch whose weights the flow has; 0 if none was finished, or none was better than the start.
        interrupted: Whether the user stopped it.
    """

    history: list[EpochReport] = field(default_factory=list)
    kept_epoch: int = 0
    interrupted: bool = False


def fit_flow(
    settings: Settings,
    vectors: VectorSource,
    watched: Tensor | None,
    *,
    device: torch.device,
    features: int,
    report: Callable[[EpochReport], None] = lambda report: None,
    state: PartState | None = None,
) -> tuple[DensityModel, TrainingResult]:
    """Make a flow and fit it, the same one for the same seed.

    Args:
        settings: All settings.
        vectors: Gives the training vectors.
        watched: (M, V, d) features of held-out images; None for none.
        device: Where to train.
        features: d.
        report: Hears of the epochs.
        state: Keeps how far it is, and knows how far it was when it was stopped.

    Raises:
        DatasetError: If the source gives no vectors.
        DivergenceError: If a loss is not finite.
    """
    # A generator of its own: the caller's random state is neither used nor changed.
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(settings.seed)
        flow = build_density_model(features, settings.flow).to(device)
        # Not where views are drawn afresh: the network computes in the calling thread's number of threads then.
        small = isinstance(vectors, BankVectors) and sum(each.numel() for each in flow.parameters()) < _SMALL
        with one_thread() if small else nullcontext():
            if state is None or not state.is_known:
                flow.start(vectors.epoch(0))
            result = train_flow(flow, vectors, watched, settings.training, report, state=state)
        flow.round_to(settings.flow.stored)
        return flow, result


def train_flow(
    flow: DensityModel,
    source: VectorSource,
    held_out: Tensor | None,
    settings: TrainingSettings,
    report: Callable[[EpochReport], None] = lambda report: None,
    *,
    state: PartState | None = None,
) -> TrainingResult:
    """Fit the flow by maximum likelihood with Adam; nothing is done where there is nothing to train.

    The flow is left in evaluation mode with the weights of the kept epoch, also after Ctrl-C; before the end of the
    first epoch Ctrl-C is passed on, since nothing was learnt.

    Args:
        flow: Is trained in place.
        source: Gives the batches of an epoch.
        held_out: (M, V, d) view features whose likelihood is watched, None for none.
        settings: Of the optimiser, and which epoch is kept.
        report: Called after every epoch.
        state: As for `fit_flow`; one that is known stands for the flow as it is given.

    Raises:
        DatasetError: If the source gives no vectors.
        DivergenceError: If a loss is not finite.
    """
    if not flow.is_trainable:
        flow.eval()
        return TrainingResult()
    device = flow.device
    optimizer = torch.optim.Adam(
        flow.parameters(),
        fused=True,  # most of a small flow's step would be overhead otherwise
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
    )
    watched = held_out.flatten(0, 1).to(device) if held_out is not None and len(held_out) else None
    state = state or TrainingState().part("flow")
    result = TrainingResult()
    best_loss = math.inf
    kept_state: dict[str, Tensor] | None = None
    known = state.take()
    if known is not None:
        result.history = [EpochReport(**each) for each in known.record["history"]]
        result.kept_epoch = known.record["kept_epoch"]
        best_loss = math.inf if known.record["best_loss"] is None else known.record["best_loss"]
        kept_state = _restore(known, flow, optimizer)
    elif flow.starts_fitted and settings.keep == "best" and watched is not None:
        # A Gaussian before the first epoch, which is kept unless training finds something more likely.
        best_loss = _median_loss(flow, watched)
        kept_state = _copy_parameters(flow)
    try:
        for epoch in range(len(result.history) + 1, settings.epochs + 1):
            loss = _train_epoch(flow, optimizer, source.epoch(epoch), device, epoch)
            held_out_loss = None if watched is None else _median_loss(flow, watched)
            if held_out_loss is not None and not math.isfinite(held_out_loss):
                raise _divergence(epoch, "held-out loss", held_out_loss)
            better = settings.keep == "last" or held_out_loss is None or held_out_loss < best_loss
            kept_epoch = epoch if better else result.kept_epoch
            latest = EpochReport(epoch, settings.epochs, loss, held_out_loss, kept_epoch)
            if better:
                # A copy, since an interrupt in the next epoch leaves the flow between two epochs.
                kept_state = _copy_parameters(flow)
                best_loss = math.inf if held_out_loss is None else held_out_loss
            result.history.append(latest)
            result.kept_epoch = kept_epoch
            report(latest)
            if settings.patience and epoch - result.kept_epoch >= settings.patience:
                break
            if epoch < settings.epochs:
                # Not of the last: one more always tells which images cannot be read, where they are read in it.
                state.offer(lambda: _snapshot(flow, optimizer, result, best_loss, kept_state))  # noqa: B023 - called now
    except KeyboardInterrupt:
        if kept_state is None:
            raise
        result.interrupted = True
    if kept_state is not None:
        flow.load_state_dict(kept_state, strict=False)
    flow.eval()
    return result


def _train_epoch(
    flow: DensityModel,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Tensor],
    device: torch.device,
    epoch: int,
) -> float:
    flow.train()
    of_batches: list[Tensor] = []
    for batch in batches:
        loss = flow.loss(flow.disturb(to_device(batch, device))).mean()
        of_batches.append(loss.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    if not of_batches:
        raise DatasetError("None of the training images can be read; give images of good parts.")
    # Read once they are all in line: to look at each would have a GPU idle while the processor prepares the next.
    losses = torch.stack(of_batches).tolist()
    for loss_of_batch in losses:
        if not math.isfinite(loss_of_batch):
            raise _divergence(epoch, "loss", loss_of_batch)
    return float(np.mean(losses))


@torch.no_grad()
def _median_loss(flow: DensityModel, features: Tensor) -> float:
    """The median over views: a flow extrapolates without bounds, and one rare view would decide a mean alone."""
    flow.eval()
    losses = [flow.loss(part) for part in features.split(1024)]
    return torch.cat(losses).median().item()


def _snapshot(
    flow: DensityModel,
    optimizer: torch.optim.Optimizer,
    result: TrainingResult,
    best_loss: float,
    kept: dict[str, Tensor] | None,
) -> Part:
    """All that the epochs to come depend on."""
    tensors = {f"flow/{name}": tensor for name, tensor in flow.state_dict().items()}
    names = [name for name, _ in flow.named_parameters()]
    for place, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{names[place]}/{name}": tensor for name, tensor in moments.items()}
    if kept is not None and result.kept_epoch != len(result.history):  # else it is the flow as it is
        tensors |= {f"kept/{name}": tensor for name, tensor in kept.items()}
    tensors["chance"] = torch.get_rng_state()
    if flow.device.type == "cuda":
        tensors["chance-cuda"] = torch.cuda.get_rng_state(flow.device)
    record = {
        "epochs": len(result.history),
        "history": [asdict(each) for each in result.history],
        "kept_epoch": result.kept_epoch,
        "best_loss": best_loss if math.isfinite(best_loss) else None,
    }
    return Part(record, tensors)


def _restore(known: Part, flow: DensityModel, optimizer: torch.optim.Optimizer) -> dict[str, Tensor] | None:
    """The reverse of `_snapshot`; gives the parameters of the kept epoch."""

    def under(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: each for name, each in known.tensors.items() if name.startswith(prefix)}

    flow.load_state_dict(under("flow/"))
    moments = {
        place: under(f"adam/{name}/")
        for place, (name, _) in enumerate(flow.named_parameters())
        if under(f"adam/{name}/")
    }
    state: dict[str, Any] = {"state": moments, "param_groups": optimizer.state_dict()["param_groups"]}
    optimizer.load_state_dict(state)
    torch.set_rng_state(known.tensors["chance"])
    if flow.device.type == "cuda":
        torch.cuda.set_rng_state(known.tensors["chance-cuda"], flow.device)
    kept = under("kept/")
    if kept:
        return {name: each.to(flow.device) for name, each in kept.items()}
    return _copy_parameters(flow) if known.record["kept_epoch"] else None


def _copy_parameters(flow: DensityModel) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in flow.named_parameters()}


def _divergence(epoch: int, what: str, value: float) -> DivergenceError:
    return DivergenceError(
        f"Training diverged in epoch {epoch} ({what} {value}); lower training.learning_rate, or look for damaged "
        f"images among the good ones."
    )
