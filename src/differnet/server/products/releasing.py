"""Putting a version into service, taking it back, and removing one that is not in service."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

from differnet.errors import DifferNetError, OutputError
from differnet.files import replacing_for_good
from differnet.server.inspecting.model_repository import Shelf
from differnet.server.problems import Problem
from differnet.server.products.catalogue import Catalogue, Row

__all__ = ["Releasing"]


class Releasing:
    """Puts model files of versions under the names of their products, where the service finds them.

    Args:
        catalogue: Where it is written down.
        shelf: The models in service.
        folder: Of a product.
        file: Of a version.
    """

    def __init__(
        self, catalogue: Catalogue, shelf: Shelf, folder: Callable[[str], Path], file: Callable[[Row], Path]
    ) -> None:
        self._catalogue, self._shelf, self._folder, self._file = catalogue, shelf, folder, file
        self._lock = threading.Lock()

    def release(self, product: str, number: int, seen: str | None, key: str | None) -> None:
        """Put a version into service; what was there before is kept.

        Args:
            product: Id.
            number: Of the version.
            seen: Token of what was in service when that was decided, None for nothing.
            key: Who decides.

        Raises:
            Problem: 404 if there is no such version, 409 if something else is in service by now, 507 if the disk is
                full.
        """
        with self._lock:
            row = self._catalogue.get(product)
            file = self._file(self._catalogue.version(product, number))
            replaced = self._kept(row)
            try:
                self._put(row, file, seen)
            except Problem:
                if replaced is not None:
                    (self._releases(product) / replaced).unlink(missing_ok=True)
                raise
            self._catalogue.released(product, number, replaced, key)
        self._shelf.refresh()

    def roll_back(self, product: str, seen: str | None, key: str | None) -> None:
        """Put back into service what the last release replaced.

        Raises:
            Problem: 409 if there is nothing to go back to, or something else is in service by now.
        """
        with self._lock:
            row = self._catalogue.get(product)
            last = self._catalogue.latest_release(product)
            file = None if last is None or last["replaced"] is None else self._releases(product) / last["replaced"]
            if last is None or file is None or not file.is_file():
                raise Problem(409, "There is nothing to go back to; release another version instead.")
            self._put(row, file, seen)
            self._catalogue.rolled_back(last, key)
        self._shelf.refresh()

    def remove(self, product: str, number: int, key: str | None) -> Row:
        """Write down that a version is removed, unless it is in service.

        Raises:
            Problem: 404 if there is no such version, 409 if it is in service, or work on it is under way.
        """
        with self._lock:  # nobody may put it into service meanwhile
            version = self._catalogue.version(product, number)
            place = self._shelf.places().get(self._catalogue.get(product)["name"])
            if place is not None and place.served is not None and place.served.model_id == version["model_id"]:
                raise Problem(409, f"Version {number} is in service; put another one into service first.")
            self._catalogue.remove_version(product, number, key)
        return version

    def can_roll_back(self, product: str) -> bool:
        """Whether the last release replaced something."""
        last = self._catalogue.latest_release(product)
        return last is not None and last["replaced"] is not None

    def _releases(self, product: str) -> Path:
        return self._folder(product) / "releases"

    def _kept(self, product: Row) -> str | None:
        """Keep the file that is in service, which may be no version: recalibrated, or made elsewhere."""
        place = self._shelf.places().get(product["name"])
        if place is None or place.served is None or place.error is not None:
            return None
        name = f"{uuid.uuid4().hex}.safetensors"
        try:
            self._releases(product["id"]).mkdir(parents=True, exist_ok=True)
            with replacing_for_good(self._releases(product["id"]) / name) as part:
                shutil.copyfile(place.file, part)
        except OSError as error:
            raise _unwritten(error) from None
        return name

    def _put(self, product: Row, file: Path, seen: str | None) -> None:
        try:
            self._shelf.load(file)  # what cannot be served must not take the place of what is
            self._shelf.put_version(product["name"], seen, lambda part: _copy(file, part))
        except (OSError, OutputError) as error:
            raise _unwritten(error) from None
        except DifferNetError as error:
            if isinstance(error, Problem):
                raise
            raise Problem(409, f"The model cannot be served: {error}") from None


def _copy(file: Path, part: Path) -> None:
    shutil.copyfile(file, part)


def _unwritten(error: Exception) -> Problem:
    reason = getattr(error, "strerror", None) or error
    return Problem(507, f"The model file cannot be written ({reason}); nothing was changed.")
