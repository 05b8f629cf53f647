"""How much a benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from differnet.errors import SettingsError

__all__ = ["FULL", "QUICK", "Plan", "parse_counts"]

_MOST_IMAGES = 1_000_000
# Up to so many images are scored several times.
_OFTEN = 200


@dataclass(frozen=True)
class Plan:
    """How much a benchmark measures.

    Attributes:
        repetitions: Runs of a quick command; long ones are run less often.
        counts: Numbers of images that are scored, ascending.
        training_images: Made-up photographs to train on, if there is no product.
        test_images: Made-up photographs of each kind to test on, if there is no product.
        explained: Images to explain.
        measured: Images that stages and scaling are measured with.
        inner_repetitions: Repetitions within a process.
        budget_seconds: For each of the matrix products; see `differnet.bench.ceilings.measure_ceilings`.
        train: Whether training is measured.
        quick: Whether fewer points do everywhere.
    """

    repetitions: int = 5
    counts: tuple[int, ...] = (1, 50, 100, 200)
    training_images: int = 200
    test_images: int = 20
    explained: int = 8
    measured: int = 8
    inner_repetitions: int = 3
    budget_seconds: float = 12.0
    train: bool = True
    quick: bool = False

    def changed(self, *, counts: tuple[int, ...] | None, repetitions: int | None, train: bool) -> Plan:
        """The plan with what the user asked for.

        Raises:
            SettingsError: If there are to be no repetitions.
        """
        if repetitions is not None and repetitions < 1:
            raise SettingsError(f"Commands must be run once at least, not {repetitions} times; write --repeat 3.")
        return replace(self, counts=counts or self.counts, repetitions=repetitions or self.repetitions, train=train)

    def scoring_repetitions(self, images: int) -> int:
        """How often so many images are scored."""
        if images == 1:
            return self.repetitions
        return min(self.repetitions, 3) if images <= _OFTEN else 1


FULL = Plan()
"""A few minutes."""

QUICK = Plan(
    repetitions=2,
    counts=(1, 12, 24),
    training_images=24,
    test_images=4,
    explained=2,
    measured=4,
    inner_repetitions=2,
    budget_seconds=1.0,
    quick=True,
)
"""A minute or two."""


def parse_counts(text: str) -> tuple[int, ...]:
    """Read numbers of images, such as ``1,100,1000``.

    Returns:
        The numbers, ascending, each once.

    Raises:
        SettingsError: If they are not whole numbers from 1 up, at least two different ones.
    """
    try:
        counts = sorted({int(word) for word in text.split(",")})
    except ValueError:
        raise SettingsError(f"'{text}' are not numbers of images; write for example --images 1,100,1000.") from None
    if counts[0] < 1 or counts[-1] > _MOST_IMAGES:
        raise SettingsError(f"Numbers of images must lie in 1 to {_MOST_IMAGES}; '{text}' has others.")
    if len(counts) < 2:
        raise SettingsError(
            f"A line takes two different numbers of images at least; write --images 1,{counts[0] + 99}."
        )
    return tuple(counts)
