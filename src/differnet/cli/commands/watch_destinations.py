"""Where ``differnet watch`` sends verdicts: files that it appends to, and addresses with a queue each."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from differnet.cli.outputs import open_destination
from differnet.errors import OutputError, SettingsError
from differnet.sinks import DeliveringSink, WebhookSink, find_sink
from differnet.sinks.lines import LINE_FORMATS

__all__ = ["Destinations"]


@dataclass(frozen=True)
class Destinations:
    """What was given at the command line.

    Attributes:
        files: Each with the name of its format.
        addresses: In the order given.
    """

    files: Sequence[tuple[Path, str]]
    addresses: Sequence[str]

    @classmethod
    def of(cls, csv: Path | None, jsonl: Path | None, webhook: str | None, to: Sequence[str]) -> Destinations:
        """Tell files from addresses.

        Raises:
            SettingsError: If something is neither.
        """
        files = [(path, form) for path, form in ((csv, "csv"), (jsonl, "jsonl")) if path is not None]
        addresses = [webhook] if webhook else []
        for destination in to:
            if "://" in destination:
                addresses.append(destination)
                continue
            form = find_sink(destination).name
            if form not in LINE_FORMATS:
                raise SettingsError(f"{destination}: is written as a whole, not row by row; choose *.csv or *.jsonl.")
            files.append((Path(destination), form))
        return cls(files, addresses)

    def open_sinks(self) -> Iterator[tuple[str, DeliveringSink]]:
        """Open the sink of each address, with the name of its queue.

        The name is that of the kind of sink, with a number from the second on: the journal does not hold addresses,
        and one that has changed goes on with the queue of the one before.

        Raises:
            DifferNetError: If an address is none, or cannot be used.
        """
        seen: Counter[str] = Counter()
        for address in self.addresses:
            # Without a scheme it is taken for a web address, whose sink says what is wrong.
            sink = open_destination(address) if "://" in address else WebhookSink(address)
            if not isinstance(sink, DeliveringSink):
                sink.close()
                scheme = address.partition("://")[0]
                raise SettingsError(f"{scheme}://: does not say whether a verdict has arrived; give a web address.")
            seen[sink.name] += 1
            yield f"{sink.name}-{seen[sink.name]}" if seen[sink.name] > 1 else sink.name, sink

    def usual_journal(self, source: Path | str) -> Path:
        """Where the journal is if nothing is said: beside the first file, or in the user's folder for state.

        Args:
            source: What is watched.

        Raises:
            OutputError: If there is no such folder.
        """
        if self.files:
            return Path(f"{self.files[0][0]}.journal")
        from platformdirs import user_state_path  # noqa: PLC0415

        try:
            place = user_state_path("differnet", ensure_exists=True)
        except OSError as error:
            raise OutputError(f"The journal has no place ({error}); give one with --journal FILE.") from None
        about = os.fsencode(source.resolve() if isinstance(source, Path) else source)
        name = hashlib.sha256(about + b"\0" + self.addresses[0].encode()).hexdigest()[:12]
        return place / f"watch-{name}.journal"
