"""``differnet score``: anomaly scores of images."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from differnet.cli.console import fail_if_skipped, print_json, print_line, say, warn
from differnet.cli.describe import UnlikeImages
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption
from differnet.cli.outputs import check_not_input, open_destination
from differnet.cli.progress import progress

if TYPE_CHECKING:
    from differnet.detector import DifferNet
    from differnet.images.failure import Failure
    from differnet.inspection.verdict import Verdict
    from differnet.sinks import Sink

__all__ = ["score"]


def score(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, folders (searched through), list files (.txt, a path per line)."),
    ],
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write CSV, '-' for stdout.")] = None,
    jsonl: Annotated[str | None, typer.Option(metavar="FILE", help="Write JSON Lines, '-' for stdout.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DESTINATION",
            help="Write verdicts, and why there is none, to *.csv, *.jsonl, *.parquet or a web address. Repeatable.",
        ),
    ] = None,
    views: Annotated[
        str,
        typer.Option(help="sequential: no more views than settle the decision; all: the full score."),
    ] = "sequential",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score images and decide: the higher the score, the more anomalous. A line per image, as they come."""
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.images import collect_images  # noqa: PLC0415
    from differnet.images.failure import Failure  # noqa: PLC0415
    from differnet.inspection.verdict import Verdict  # noqa: PLC0415
    from differnet.sinks import CsvSink, JsonLinesSink  # noqa: PLC0415

    if views not in ("sequential", "all"):
        raise typer.BadParameter(f"'{views}' is neither 'sequential' nor 'all'.", param_hint="--views")
    if as_json and "-" in (csv, jsonl):
        raise typer.BadParameter("--json has stdout for itself; write CSV or JSON Lines to a file.")
    named = [output for output in (csv, jsonl, *(to or [])) if output]
    if len({Path(output).absolute() for output in named}) < len(named):
        raise typer.BadParameter("--csv, --jsonl and --to need files of their own.")
    found = collect_images(images)
    check_not_input(named, [model, *found.paths])
    if found.passed_over:
        say(f"{found.passed_over}.")
    detector = DifferNet.load(model, device=device, weights=weights)
    rows: list[dict[str, Any]] = []
    failures: list[Failure] = []
    unlike = UnlikeImages()
    decisions: Counter[str] = Counter()
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if csv:
            sinks.append(stack.enter_context(CsvSink(csv, columns=Verdict.columns())))
        if jsonl:
            sinks.append(stack.enter_context(JsonLinesSink(jsonl, columns=Verdict.columns())))
        sinks += [stack.enter_context(open_destination(destination)) for destination in to or []]
        listener = stack.enter_context(progress())
        for done, result in enumerate(detector.inspect_stream(found.paths, all_views=views == "all"), start=1):
            listener.images("scores", done, len(found.paths))
            for sink in sinks:
                sink.write(result)
            if isinstance(result, Failure):
                failures.append(result)
                continue
            unlike.add(result)
            decisions[result.decision or "undecided"] += 1
            if as_json:
                rows.append(result.to_dict())
            elif not sinks:
                _print_line(result)
    if as_json:
        skipped = [failure.to_dict() for failure in failures]
        print_json({"model": str(model), "images": rows, "skipped": skipped, "drift": detector.drift.to_dict()})
    _tell_outcome(decisions, len(failures), written=bool(named))
    unlike.warn()
    _warn_of_drift(detector)
    fail_if_skipped(failures)


def _tell_outcome(decisions: Counter[str], failed: int, *, written: bool) -> None:
    """Tell how many images were accepted, sent to review, rejected, where the verdicts are not on the screen."""
    if not written:
        return
    words = {"accept": "accepted", "review": "to review", "reject": "rejected", "undecided": "without a threshold"}
    told = [f"{decisions[decision]} {word}" for decision, word in words.items() if decisions[decision]]
    told += [f"{failed} could not be used"] if failed else []
    say(f"{sum(decisions.values()) + failed} image(s): {', '.join(told)}.")


def _warn_of_drift(detector: DifferNet) -> None:
    sentence = detector.drift.sentence
    if sentence:
        warn(sentence)


def _print_line(verdict: Verdict) -> None:
    decision = [verdict.decision] if verdict.decision else []
    print_line(f"{verdict.score:.6g}", *decision, verdict.source)
    sys.stdout.flush()
