"""What an epoch of the paper's preset takes: ``python -m benchmarks.epoch PRODUCT [--epochs 2] [--set NAME=VALUE]``.

Prints the seconds of an epoch, those of the processor in it (which other work on the machine hardly changes), the
operations of network and flow, and how long they would take at the speed of a float32 product of matrices, measured in
the same run: what no order of the same operations goes far below.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from differnet import DifferNet
from differnet.bench.ceilings import measure_ceilings
from differnet.flow import build_density_model
from differnet.images import read_good_images
from differnet.settings import preset
from differnet.training import EpochReport, train_flow
from differnet.training.vectors import FreshVectors

# Forwards, and backwards by weights and by inputs: a product and a sum for each weight.
_OPERATIONS_PER_WEIGHT = 6


def main(words: list[str] | None = None) -> None:
    """Train for some epochs, and print what one takes."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.epoch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("product", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, help="the first so many; all if left out")
    parser.add_argument("--ceiling-seconds", type=float, default=2.0, help="at most, to measure a product of matrices")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    arguments = parser.parse_args(words)
    changes = dict(word.split("=", 1) for word in arguments.set)
    settings = preset("paper").with_overrides({**changes, "training.epochs": arguments.epochs})
    detector = DifferNet(settings, device="cpu")
    extraction, images = detector.extraction, read_good_images(arguments.product).paths[: arguments.images]
    views = len(images) * settings.views.training_count
    ceiling = (
        1e9
        * measure_ceilings(torch.device("cpu"), budget_seconds=arguments.ceiling_seconds, repetitions=10).float32.gflops
    )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        extraction.network.pool(extraction.extractor, torch.zeros(1, 3, extraction.size, extraction.size))
    torch.manual_seed(settings.seed)
    flow = build_density_model(extraction.features, settings.flow)
    weights = sum(each.numel() for each in flow.parameters())
    of_network, of_flow = float(counter.get_total_flops()) * views, float(_OPERATIONS_PER_WEIGHT * weights * views)
    source = FreshVectors(
        extraction, images, settings.views, batch_images=settings.training.batch_images, seed=settings.seed
    )
    clock: list[tuple[float, float]] = []

    def report(epoch: EpochReport) -> None:
        clock.append((time.perf_counter(), time.process_time()))
        sys.stderr.write(f"epoch {epoch.epoch}: loss {epoch.loss:.6f}\n")

    next(source.epoch(0))  # what is made once
    clock.append((time.perf_counter(), time.process_time()))
    train_flow(flow, source, None, settings.training, report)
    wall, processor = (statistics.median(b[k] - a[k] for a, b in itertools.pairwise(clock)) for k in (0, 1))
    least = (of_network + of_flow) / ceiling
    sys.stdout.write(
        f"{len(images)} images, {views} views, {torch.get_num_threads()} threads\n"
        f"an epoch: {wall:.1f} s, {processor:.1f} s of processor, median of {arguments.epochs}\n"
        f"its operations: {of_network / 1e12:.2f} TFLOP of the network, {of_flow / 1e12:.2f} of the flow\n"
        f"at the speed of a product of matrices, {ceiling / 1e9:.0f} GFLOP/s: {least:.1f} s, {least / wall:.0%} of it\n"
    )


if __name__ == "__main__":
    main()
