"""What a benchmark finds, as plain records that JSON can hold; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from differnet.bench.statistics import LineFit, Spread, fit_line

__all__ = [
    "IMAGES",
    "VIEWS",
    "BarResult",
    "Benchmark",
    "CaseResult",
    "Ceilings",
    "Machine",
    "Point",
    "Product",
    "Scaling",
    "Stage",
    "StageReport",
]

IMAGES = "number of images"
VIEWS = "number of views"


@dataclass(frozen=True)
class Machine:
    """Where a benchmark ran.

    Attributes:
        processor: Its name.
        cores: Number of cores that the process may use.
        system: Operating system.
        python: Version.
        differnet: Version.
    """

    processor: str
    cores: int
    system: str
    python: str
    differnet: str


@dataclass(frozen=True)
class Product:
    """The rate of a matrix product.

    Attributes:
        side: Of the two square matrices.
        gflops: 10^9 operations a second, two for each multiplication and addition.
    """

    side: int
    gflops: float


@dataclass(frozen=True)
class Ceilings:
    """The best rates of a device.

    Attributes:
        float32: Of a product in float32.
        bfloat16: Of a product in bfloat16; slower than float32 where it is only emulated.
        copy_gbytes: 10^9 bytes a second that a large copy reads and writes together.
        device: Where it was measured.
        threads: Of torch on the processor.
        torch: Version of torch.
    """

    float32: Product
    bfloat16: Product
    copy_gbytes: float
    device: str
    threads: int
    torch: str


@dataclass(frozen=True)
class CaseResult:
    """A command run as a whole process, several times.

    Attributes:
        name: Of the case.
        command: The words of the command.
        images: Number of images that it works on, 0 if none.
        seconds: From start to end.
        cpu_seconds: Of all threads together.
        peak_bytes: Peak resident memory.
    """

    name: str
    command: tuple[str, ...]
    images: int
    seconds: Spread
    cpu_seconds: Spread
    peak_bytes: Spread


@dataclass(frozen=True)
class Stage:
    """One stage of scoring.

    Attributes:
        name: decode, resize, views, extract, cells, local model or flow.
        milliseconds: For an image, median over repetitions.
        share: Of the time of all stages, in [0, 1].
        gflop: 10^9 operations of matrix products and convolutions for an image.
        gflops: The same a second.
        megabytes: 10^6 bytes that the stage has to read and write at least for an image: its input, its output and
            the weights, once for each call.
        ceiling_share: Of the best possible: the least time for these operations and bytes at the rates of `Ceilings`,
            whichever is longer, by the time taken. Beyond 1 where all fits into the processor's cache.
    """

    name: str
    milliseconds: float
    share: float
    gflop: float
    gflops: float
    megabytes: float
    ceiling_share: float


@dataclass(frozen=True)
class StageReport:
    """All stages of scoring.

    Attributes:
        stages: In the order in which an image passes through them.
        images: Number of images that were measured together.
        views: Number of views of each.
        precision: What the extractor computes in.
        sum_milliseconds: For an image, all stages one after the other.
        whole_milliseconds: For an image as scoring does it, images being read while the network computes.
    """

    stages: tuple[Stage, ...]
    images: int
    views: int
    precision: str
    sum_milliseconds: float
    whole_milliseconds: float


@dataclass(frozen=True)
class Point:
    """One measurement of a growing cost.

    Attributes:
        x: How much there was of what grows.
        seconds: What it took.
        peak_bytes: Peak memory of the process, where a process was measured.
    """

    x: float
    seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Scaling:
    """A growing cost and the straight line through it.

    Attributes:
        quantity: What grows.
        unit: Of x.
        points: The measurements, x ascending.
        fit: The line; its slope are the seconds of a unit of x.
        memory_growth: Peak memory at the greatest x by that at the one before: 1 is flat. None where memory was not
            measured.
    """

    quantity: str
    unit: str
    points: tuple[Point, ...]
    fit: LineFit
    memory_growth: float | None = None

    @classmethod
    def of(cls, quantity: str, unit: str, points: Sequence[Point]) -> Scaling:
        """Fit the line; it takes points at two different x at least.

        Raises:
            ValueError: If there are fewer.
        """
        ordered = sorted(points, key=lambda point: point.x)
        fit = fit_line([point.x for point in ordered], [point.seconds for point in ordered])
        before, last = (point.peak_bytes for point in ordered[-2:])
        growth = None if before is None or last is None else last / before
        return cls(quantity, unit, tuple(ordered), fit, growth)


@dataclass(frozen=True)
class BarResult:
    """A promise of this project beside what was measured.

    Attributes:
        what: Is promised.
        unit: Of the three numbers; smaller is better.
        bar: Must not be exceeded.
        aim: Should not be.
        measured: None where this run did not measure it.
        note: Under which conditions, where they differ from those of the promise.
    """

    what: str
    unit: str
    bar: float
    aim: float
    measured: float | None
    note: str = ""

    @property
    def verdict(self) -> str:
        """``aim``, ``bar`` or ``missed``, whichever was reached; ``not measured``."""
        if self.measured is None:
            return "not measured"
        if self.measured <= self.aim:
            return "aim"
        return "bar" if self.measured <= self.bar else "missed"


@dataclass(frozen=True)
class Benchmark:
    """All that a benchmark found.

    Attributes:
        model: The model file.
        product: The product whose images were used; empty for made-up photographs.
        image_size: Width and height of the first test image, in pixels.
        quick: Whether it was the short run.
        machine: Where it ran.
        ceilings: What the machine can do at best.
        cases: Whole commands.
        stages: The stages of scoring.
        scaling: How costs grow.
        bars: The project's promises.
    """

    model: str
    product: str
    image_size: tuple[int, int]
    quick: bool
    machine: Machine
    ceilings: Ceilings
    cases: tuple[CaseResult, ...]
    stages: StageReport
    scaling: tuple[Scaling, ...]
    bars: tuple[BarResult, ...]
