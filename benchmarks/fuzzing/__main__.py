"""Damaged files of every kind that is read, and requests: ``python -m benchmarks.fuzzing [KIND ...] [--count 10000]``.

Each must be read, or refused with an error of the product, in time and within memory. What is not is kept, and the exit
code is 1. Processes are forked for every hundred, so that one that dies is seen. Each --seed makes other
mutations.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.fuzzing.kinds import KINDS, Kind
from benchmarks.fuzzing.service import try_requests
from differnet.errors import DifferNetError
from differnet_runtime import InspectionError

# The threads of a parent's pool are not in what is forked of it, which would wait for them without end.
torch.set_num_threads(1)

HTTP = "http"
BATCH = 100
_LONG_ROUND = 1000
# Of processor time; and of waiting, by which nothing honest on a loaded machine is called a hang.
MOST_SECONDS, MOST_WAITED = 20, 300
MOST_BYTES = 500 << 20


def main() -> None:
    """Try all kinds; exit code 1 if one did what it must not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzzing", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, HTTP, []], help="which kinds; all unless named")
    parser.add_argument("--count", type=int, default=10_000, help="mutations of each kind, and requests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="end a kind of file after so long; --seed goes on")
    parser.add_argument("--out", type=Path, help="folder for files that did what they must not")
    arguments = parser.parse_args()
    out = arguments.out or Path(tempfile.mkdtemp(prefix="differnet-fuzzing-"))
    bad = 0
    usual = [name for name, kind in KINDS.items() if arguments.count >= _LONG_ROUND or not kind.takes_long]
    for name in arguments.kinds or (*usual, HTTP):
        bad += try_kind(name, arguments.count, arguments.seed, out, arguments.minutes)
    if bad:
        sys.stdout.write(f"{bad} did what they must not; the files are in {out}\n")
    sys.exit(1 if bad else 0)


def try_kind(name: str, count: int, seed: int, out: Path, minutes: float | None = None) -> int:
    """Try a kind, for so long; the number of mutations that did what they must not."""
    started = time.monotonic()
    told: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    until = None if minutes is None else started + 60 * minutes
    if name == HTTP:
        tried = try_requests(count, seed, MOST_SECONDS, MOST_BYTES)
    else:
        tried = _mutations(name, count, seed, until)
    suffix = ".txt" if name == HTTP else KINDS[name].suffix
    for outcome, reason, content in tried:
        told[outcome] += 1
        if outcome in ("read", "refused"):
            continue
        bad[f"{outcome}: {reason}"] += 1
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{name}-{sum(bad.values())}{suffix}").write_bytes(content)
    seconds = time.monotonic() - started
    sys.stdout.write(f"{name:<16} {sum(told.values()):>6} tried in {seconds:>5.0f} s: {json.dumps(dict(told))}\n")
    for reason, number in bad.most_common(20):
        sys.stdout.write(f"    {number} x {reason}\n")
    sys.stdout.flush()
    return sum(bad.values())


def _mutations(name: str, count: int, seed: int, until: float | None) -> Iterator[tuple[str, str, bytes]]:
    KINDS[name].mutate(random.Random(seed))  # noqa: S311 - makes what is mutated, once for all processes
    for start in range(0, count, BATCH):
        if until is not None and start and time.monotonic() > until:
            return
        yield from _batch(KINDS[name], f"{seed} {name} {start}", min(BATCH, count - start))


def _batch(kind: Kind, seed: str, count: int) -> list[tuple[str, str, bytes]]:
    """Try some in a process of their own; what became of each."""
    contents = [kind.mutate(chance) for chance in (random.Random(f"{seed} {i}") for i in range(count))]  # noqa: S311
    found: list[tuple[str, str, bytes]] = []
    while len(found) < count:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders have much to say of damaged images
            _try(kind, contents[len(found) :], writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            outcomes = [json.loads(line) for line in lines if line.endswith("\n")]
        _, status = os.waitpid(child, 0)
        found += [(outcome, reason, contents[len(found) + i]) for i, (outcome, reason) in enumerate(outcomes)]
        if len(found) < count:  # the one that it died of
            hung = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF)
            found.append(("hung" if hung else "died", f"status {status}", contents[len(found)]))
    return found


def _try(kind: Kind, contents: list[bytes], writer: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for content in contents:
            file = Path(folder) / f"a{kind.suffix}"
            file.write_bytes(content)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
            signal.alarm(MOST_WAITED)
            outcome, reason = _outcome(kind, file)
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            if grown > MOST_BYTES and outcome in ("read", "refused"):
                outcome, reason = "memory", f"{grown >> 20} MB"
            os.write(writer, (json.dumps([outcome, reason]) + "\n").encode())
    os._exit(0)


def _outcome(kind: Kind, file: Path) -> tuple[str, str]:
    try:
        kind.read(file)
    except (DifferNetError, InspectionError) as error:
        return ("refused", "") if str(error) and "\n" not in str(error) else ("odd words", repr(error)[:200])
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return "traceback", f"{type(error).__name__}: {str(error)[:120]} ({Path(place.filename).name}:{place.lineno})"
    return "read", ""


if __name__ == "__main__":
    main()
