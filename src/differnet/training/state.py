"""The state of a training, kept in a file, so that a training that was killed can go on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from differnet.compute.tensor_digest import digest_tensors
from differnet.errors import ResumeError
from differnet.files import replacing_for_good, unfinished

__all__ = ["Part", "PartState", "TrainingState"]

_log = logging.getLogger(__name__)

_FORMAT = "differnet training state 1"
# Writing takes no more than this share of the time.
_MOST_SHARE = 0.05
_ANEW = "train without resuming to begin anew, which writes over it"


@dataclass(frozen=True, eq=False)
class Part:
    """What is known of a part of a training.

    Attributes:
        record: Anything that JSON holds.
        tensors: By name.
        finished: Whether the part is over; one that is not is the flow in training.
    """

    record: dict[str, Any]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    finished: bool = False


class TrainingState:
    """Keeps what a training has found out so far in a file, and gives it back to the same training begun again.

    The file is written whole or not at all and is on the disk before it replaces the one before it. It is a safetensors
    file with JSON in its metadata: nothing in it is executed. It holds the parts that are over (folds that were
    measured or learnt from) and the flow that is in training: weights, the optimiser's moments, and where chance is.
    Features are computed anew, unless a cache keeps them. A training that goes on gives the same model as one that
    was never stopped, on one thread to the last bit.

    Args:
        path: The file; None keeps nothing.
        resume: Go on with what the file holds. Without, or where there is no file, the training begins anew and writes
            over it.
        seconds: Least time between two writes, and before the first; more, where writing would take more than a
            twentieth of the time. 0 writes after every epoch and fold.
        tell: Hears in a sentence what becomes of a file that is there.

    Attributes:
        seconds_before: How long the training had taken when the state was written that it goes on with.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        seconds: float = 30.0,
        tell: Callable[[str], None] = _log.info,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.seconds_before = 0.0
        self._resume, self._seconds, self._tell = resume, seconds, tell
        self._identity: dict[str, Any] = {}
        self._parts: dict[str, Part] = {}
        self._started = self._written = time.monotonic()
        self._cost = 0.0
        self._warned = False

    def begin(self, identity: Mapping[str, Any]) -> None:
        """Begin, or go on with what the file holds.

        Args:
            identity: What tells this training from others, by what it is called in a message; anything that JSON holds.

        Raises:
            ResumeError: If the training is to go on, and the file is damaged, or the state of another training.
        """
        if self.path is None:
            return
        self._identity = json.loads(json.dumps({"differnet": version("differnet"), **identity}))
        self._parts, self.seconds_before = {}, 0.0
        with suppress(OSError):  # what cannot be removed is told of when the file is written
            unfinished(self.path).unlink(missing_ok=True)
        if self.path.exists() and not self._resume:
            self._tell(
                f"{self.path}: the state of a training that was not finished is not used; the first state of this one "
                "will replace it."
            )
        elif self.path.exists():
            self._read(self.path)
            self._tell(f"{self.path}: the training goes on {self._where()}.")
        elif self._resume:
            self._tell(f"{self.path}: there is no state to go on with; the training begins at its beginning.")
        self._started = self._written = time.monotonic()

    @property
    def is_kept(self) -> bool:
        """Whether there is a file at all; what tells trainings apart need not be found out otherwise."""
        return self.path is not None

    def part(self, kind: str, *made_of: object) -> PartState:
        """The state of a part.

        Args:
            kind: What it is.
            made_of: What it is made of, of things whose `repr` tells them apart: with others it is another part.
        """
        return PartState(self, f"{kind} {hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]}")

    def take(self, name: str) -> Part | None:
        """What is known of a part; of one that is not over it is known once."""
        found = self._parts.get(name)
        if found is not None and not found.finished:
            del self._parts[name]
        return found

    def over(self, name: str) -> Part | None:
        """What is known of a part, if it is over."""
        found = self._parts.get(name)
        return found if found is not None and found.finished else None

    def has(self, name: str) -> bool:
        """Whether anything is known of a part."""
        return name in self._parts

    def keep(self, name: str, part: Part) -> None:
        """Keep a part that is over."""
        if self.path is not None:
            self._parts[name] = part
            self._write_if_due({})

    def offer(self, name: str, make: Callable[[], Part]) -> None:
        """Keep how far a part is, if it is time to write."""
        if self.path is not None:
            self._write_if_due({name: make})

    def remove(self) -> None:
        """Remove the file, once the training is done and its model is kept."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.forget()

    def forget(self) -> None:
        """Keep nothing more in memory; the file stays."""
        self._parts = {}

    def _where(self) -> str:
        running = [part for part in self._parts.values() if not part.finished]
        over = sum(part.finished and bool(part.tensors) for part in self._parts.values())
        folds = f"with {over} fold{'s' if over > 1 else ''} that it has learnt" if over else ""
        epochs = f"after {running[0].record.get('epochs', 0)} epochs" if running else ""
        return " and ".join(said for said in (folds, epochs) if said) or "with what it has measured"

    def _write_if_due(self, running: Mapping[str, Callable[[], Part]]) -> None:
        now = time.monotonic()
        wait = max(self._seconds, self._cost / _MOST_SHARE) if self._seconds > 0 else 0.0
        if self.path is None or now - self._written < wait:
            return
        parts = {**self._parts, **{name: make() for name, make in running.items()}}
        try:
            self._write(self.path, parts)
        except (OSError, safetensors.SafetensorError) as error:
            if not self._warned:  # hours of training must not be lost for this
                _log.warning("%s: the state of the training cannot be kept (%s); make room there.", self.path, error)
            self._warned = True
        self._written = time.monotonic()
        self._cost = self._written - now

    def _write(self, path: Path, parts: Mapping[str, Part]) -> None:
        tensors: dict[str, Tensor] = {}
        entries = []
        for number, (name, part) in enumerate(parts.items()):
            entries.append({"name": name, "finished": part.finished, "record": part.record})
            for key, tensor in part.tensors.items():
                tensors[f"{number}/{key}"] = tensor.detach().cpu().contiguous()
        metadata = {
            "format": _FORMAT,
            "identity": json.dumps(self._identity),
            "parts": json.dumps(entries),
            "seconds": repr(self.seconds_before + time.monotonic() - self._started),
            "sha256": digest_tensors(tensors),
        }
        with replacing_for_good(path) as part_file:
            safetensors.torch.save_file(tensors, part_file, metadata)

    def _read(self, path: Path) -> None:
        with _as_damage(path):
            with safetensors.safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                foreign = metadata.get("format") != _FORMAT
                identity = {} if foreign else json.loads(metadata["identity"])
            if not foreign:
                entries, seconds = json.loads(metadata["parts"]), float(metadata["seconds"])
        if foreign:
            raise ResumeError(f"{path}: is not the state of a training; {_ANEW}.")
        self._check(path, identity)
        with _as_damage(path):
            tensors = safetensors.torch.load_file(path)
            if digest_tensors(tensors) != metadata["sha256"]:
                raise ValueError("its tensors are not those that were written")
            of_parts: list[dict[str, Tensor]] = [{} for _ in entries]
            for name, tensor in tensors.items():
                number, _, key = name.partition("/")
                of_parts[int(number)][key] = tensor
            self._parts = {
                entry["name"]: Part(entry["record"], found, entry["finished"])
                for entry, found in zip(entries, of_parts, strict=True)
            }
            self.seconds_before = seconds

    def _check(self, path: Path, identity: Mapping[str, Any]) -> None:
        for name, own in self._identity.items():
            there = identity.get(name)
            if there == own:
                continue
            how = f"with other {name}"
            if isinstance(own, dict) and isinstance(there, dict):
                how += f" ({', '.join(_differing(own, there))})"
            elif name == "differnet":
                how = f"by differnet {there}, this is {own}"
            raise ResumeError(f"{path}: is the state of a training {how}; {_ANEW}.")


class PartState:
    """The state of a part of a training.

    Args:
        state: Of the whole.
        name: Of the part.
    """

    def __init__(self, state: TrainingState, name: str) -> None:
        self._state, self._name = state, name

    @property
    def is_known(self) -> bool:
        """Whether there is anything to go on with."""
        return self._state.has(self._name)

    def take(self) -> Part | None:
        """See `TrainingState.take`."""
        return self._state.take(self._name)

    def over(self) -> Part | None:
        """What is known of the part, if it is over."""
        return self._state.over(self._name)

    def keep(self, record: dict[str, Any], tensors: Mapping[str, Tensor] | None = None) -> None:
        """Keep the part, which is over."""
        self._state.keep(self._name, Part(record, tensors or {}, finished=True))

    def offer(self, make: Callable[[], Part]) -> None:
        """See `TrainingState.offer`."""
        self._state.offer(self._name, make)


@contextmanager
def _as_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise ResumeError(f"{path}: cannot be read as the state of a training ({error}); {_ANEW}.") from None


def _differing(own: Mapping[str, Any], there: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name in {**own, **there}:
        mine, other = own.get(name), there.get(name)
        if isinstance(mine, dict) and isinstance(other, dict):
            yield from _differing(mine, other, f"{prefix}{name}.")
        elif mine != other:
            yield f"{prefix}{name}"
