"""What is to be scored: the images of a folder or of Parquet files, here or on a remote file system."""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from differnet.errors import DatasetError, MissingExtraError
from differnet.images import IMAGE_SUFFIXES, collect_images
from differnet.installing import install_extra

__all__ = [
    "Archive",
    "ArchiveImage",
    "FileArchive",
    "ParquetArchive",
    "images_of_rows",
    "images_of_table",
    "is_remote",
    "is_table_of_images",
    "open_archive",
    "portions",
    "read_row_groups",
    "table_of",
]

_PARQUET_SUFFIX = ".parquet"
_SHOWN = 200
_PATH, _BYTES, _PRODUCT = "path", "bytes", "product"
_LOCATION = "location"
# Images that come as bytes are handed on in portions of about this size.
_PORTION_BYTES = 16_000_000
_MOST_ROWS = 256


@dataclass(frozen=True)
class ArchiveImage:
    """An image of an archive.

    Attributes:
        path: What it is called in the results; of a folder's images relative to the folder.
        product: Which product it shows; None where one model scores everything.
        location: Where to read it.
        content: The file's content, where the archive holds it.
    """

    path: str
    product: str | None
    location: str
    content: bytes | None = None


class Archive(Protocol):
    """Images to be scored.

    Attributes:
        total: Number of images.
    """

    total: int

    def images(self) -> Iterator[ArchiveImage]:
        """All images, as they are needed."""
        ...


def is_remote(location: str) -> bool:
    """Whether a location belongs to a file system other than this machine's."""
    return "://" in location


def open_archive(source: str, *, with_products: bool) -> Archive:
    """Find the images to be scored.

    Args:
        source: A folder, an image, a list file; a Parquet file, or a folder of them without images; or the address of
            any of these (but a list) in a file system of fsspec, such as ``s3://bucket/folder``.
        with_products: Whether the images must tell their product: by the first folder below the source, or by the
            column ``product``.

    Raises:
        DatasetError: If there is nothing, or products are not told.
        MissingExtraError: If a package is needed that is not installed.
    """
    if is_remote(source):
        return _open_remote(source, with_products)
    path = Path(source)
    if path.suffix == _PARQUET_SUFFIX or (path.is_dir() and _is_parquet(path)):
        return ParquetArchive(source, with_products=with_products)
    return FileArchive(_named(path, collect_images(path).paths), with_products=with_products)


class FileArchive:
    """Image files. The names of all are held in memory: some hundred bytes each.

    Args:
        files: Names in the results, and locations.
        with_products: Whether the first part of each name is its product.

    Raises:
        DatasetError: If a name has no such part.
    """

    def __init__(self, files: Sequence[tuple[str, str]], *, with_products: bool) -> None:
        self._files = files
        self._with_products = with_products
        self.total = len(files)
        if with_products:
            bare = next((name for name, _ in files if name.find("/") < 1 or name.startswith("../")), None)
            if bare is not None:
                raise DatasetError(
                    f"{bare}: lies in no product's folder; with a folder of models, give a folder that has one for "
                    f"each product, or give one model file."
                )

    def images(self) -> Iterator[ArchiveImage]:
        """All images, in order."""
        for name, location in self._files:
            product = name.partition("/")[0] if self._with_products else None
            yield ArchiveImage(name, product, location)


class ParquetArchive:
    """Rows of Parquet files: a column ``path``, and where the images lie in them, a column ``bytes``.

    Args:
        source: A file or a folder, or their address.
        with_products: Whether the column ``product`` is needed.

    Attributes:
        total: Number of rows.
        filesystem: As pyarrow takes it; None for this machine's.
        columns: Those that are needed.
        has_bytes: Whether the rows hold the images' bytes.
        row_bytes: About how many bytes a row has.
        rows: Number of rows to hand on at a time.

    Raises:
        DatasetError: If it cannot be read, or a column is missing.
        MissingExtraError: If pyarrow is not installed.
    """

    def __init__(self, source: str, *, with_products: bool) -> None:
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingExtraError(f"{source}: Parquet needs pyarrow. Run: {install_extra('cluster')}")
        import pyarrow.dataset as pads  # noqa: PLC0415

        self.filesystem, location = _file_system(source)
        self._base, self._source = _base(source), source
        with self._readable():
            self._dataset = pads.dataset(location, format="parquet", filesystem=self.filesystem)
            names = self._dataset.schema.names
            self.total = self._dataset.count_rows()
        needed = [_PATH, *([_PRODUCT] if with_products else [])]
        missing = [name for name in needed if name not in names]
        if missing:
            raise DatasetError(
                f"{source}: has no column '{missing[0]}' but {', '.join(names)}; the columns are 'path', 'product' "
                f"where there are several models, and 'bytes' where the images themselves are in it."
            )
        if not self.total:
            raise DatasetError(f"{source}: has no rows; give a file with images.")
        self.has_bytes = _BYTES in names
        self.columns = [*needed, *([_BYTES] if self.has_bytes else [])]
        self.row_bytes = self._row_bytes()
        self.rows = max(8, min(_MOST_ROWS, _PORTION_BYTES // self.row_bytes))

    def images(self) -> Iterator[ArchiveImage]:
        """All images, read as they are needed."""
        batches = iter(self._dataset.to_batches(columns=self.columns, batch_size=self.rows, batch_readahead=1))
        while True:
            with self._readable():
                batch = next(batches, None)
                if batch is None:
                    return
                rows = batch.to_pylist()
            yield from self.of_rows(rows)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """What pyarrow says of damaged files and pages, and of names that are no UTF-8, as an error of ours."""
        import pyarrow as pa  # noqa: PLC0415

        try:
            yield
        except (OSError, ValueError, pa.ArrowException) as error:
            raise _not_parquet(self._source, error) from None

    def of_rows(self, rows: Sequence[dict[str, Any]]) -> Iterator[ArchiveImage]:
        """Rows, as they are in the files, as images."""
        yield from images_of_rows(rows, self._base)

    @property
    def base(self) -> str:
        """Where paths that are not absolute count from."""
        return self._base

    def row_groups(self) -> Iterator[tuple[str, int]]:
        """The files, and the places of the row groups in them."""
        for fragment in self._dataset.get_fragments():
            for group in fragment.row_groups:
                yield fragment.path, group.id

    def _row_bytes(self) -> int:
        with self._readable():
            first = next(iter(self._dataset.to_batches(columns=self.columns, batch_size=8)), None)
        return 100 if first is None or not first.num_rows else max(1, first.nbytes // first.num_rows)


def _not_parquet(source: str, error: Exception) -> DatasetError:
    reason = " ".join(str(error).split()) or type(error).__name__
    shown = reason if len(reason) <= _SHOWN else f"{reason[:_SHOWN]}..."
    return DatasetError(f"{source}: cannot be read as Parquet ({shown}); give a whole file with rows.")


def read_row_groups(pieces: Any, filesystem: Any, columns: Sequence[str], rows: int) -> Iterator[Any]:  # noqa: ANN401
    """Read row groups of Parquet files.

    Args:
        pieces: pyarrow's table of files and row groups, as `ParquetArchive.row_groups` tells them.
        filesystem: Of the archive.
        columns: Those to read.
        rows: Most rows of a table.

    Yields:
        pyarrow's tables.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    for piece in pieces.to_pylist():
        with pq.ParquetFile(piece["file"], filesystem=filesystem) as file:
            for batch in file.iter_batches(rows, row_groups=[piece["group"]], columns=list(columns)):
                yield pa.Table.from_batches([batch])


def images_of_rows(rows: Sequence[dict[str, Any]], base: str) -> Iterator[ArchiveImage]:
    """Rows of a Parquet file as images; paths without a file system count from ``base``."""
    for row in rows:
        path = str(row[_PATH])
        product = row.get(_PRODUCT)
        absolute = is_remote(path) or Path(path).is_absolute()
        location = path if absolute else f"{base}/{path}"
        yield ArchiveImage(path, None if product is None else str(product), location, row.get(_BYTES))


def table_of(images: Sequence[ArchiveImage]) -> Any:  # noqa: ANN401 - pyarrow's table
    """Images without content as a pyarrow table, for workers; names may be no valid text, so they are bytes."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.table(
        {
            "path": pa.array([os.fsencode(image.path) for image in images], pa.binary()),
            "product": pa.array(
                [None if image.product is None else os.fsencode(image.product) for image in images], pa.binary()
            ),
            _LOCATION: pa.array([os.fsencode(image.location) for image in images], pa.binary()),
        }
    )


def is_table_of_images(table: Any) -> bool:  # noqa: ANN401
    """Whether a pyarrow table is one of `table_of`, not rows of a Parquet file."""
    return _LOCATION in table.column_names


def images_of_table(table: Any) -> list[ArchiveImage]:  # noqa: ANN401
    """The images of `table_of`."""
    return [
        ArchiveImage(os.fsdecode(path), None if product is None else os.fsdecode(product), os.fsdecode(location))
        for path, product, location in zip(*(table.column(i).to_pylist() for i in range(3)), strict=True)
    ]


def portions(images: Iterator[ArchiveImage], size: int) -> Iterator[list[ArchiveImage]]:
    """Cut a stream into lists."""
    while portion := list(itertools.islice(images, size)):
        yield portion


def _named(source: Path, files: Sequence[Path]) -> list[tuple[str, str]]:
    """Names and locations. A name is the same whatever the working folder, so that a run goes on from anywhere."""
    given = source if source.is_dir() else source.parent
    # Files are not resolved one by one: a link is read where it lies.
    root = given.resolve()
    pairs = []
    for file in files:
        location = root / (file.relative_to(given) if file.is_relative_to(given) else file.absolute())
        name = location.relative_to(root) if location.is_relative_to(root) else location
        pairs.append((name.as_posix(), str(location)))
    return pairs


def _is_parquet(folder: Path) -> bool:
    """Whether a folder holds Parquet files; one with images counts as theirs, whatever else lies there."""
    parquet = False
    for file in folder.rglob("*"):
        if file.suffix.lower() in IMAGE_SUFFIXES:
            return False
        parquet = parquet or file.suffix == _PARQUET_SUFFIX
    return parquet


def _open_remote(source: str, with_products: bool) -> Archive:
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtraError(f"{source}: needs fsspec. Run: {install_extra('cluster')}")
    filesystem, root = _file_system(source)
    try:
        files = sorted(filesystem.find(root))
    except Exception as error:  # every file system has its own
        raise DatasetError(f"{source}: cannot be listed ({error}); check address and access.") from None
    images = [file for file in files if PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES]
    if not images and any(file.endswith(_PARQUET_SUFFIX) for file in files):
        return ParquetArchive(source, with_products=with_products)
    if not images:
        raise DatasetError(f"{source}: no images found; give PNG, JPEG, BMP, TIFF or WebP files.")
    prefix = f"{root.rstrip('/')}/"
    return FileArchive(
        [(file.removeprefix(prefix), filesystem.unstrip_protocol(file)) for file in images],
        with_products=with_products,
    )


def _file_system(source: str) -> tuple[Any, str]:
    if not is_remote(source):
        return None, str(Path(source).absolute())  # a worker may have another working folder
    if importlib.util.find_spec("fsspec") is None:
        raise MissingExtraError(f"{source}: needs fsspec. Run: {install_extra('cluster')}")
    import fsspec  # noqa: PLC0415

    try:
        filesystem, root = fsspec.core.url_to_fs(source)
    except (ValueError, ImportError, OSError) as error:
        raise DatasetError(f"{source}: there is no such file system here ({error}); install what it needs.") from None
    return filesystem, root


def _base(source: str) -> str:
    if is_remote(source):
        return source.rpartition("/")[0] if source.endswith(_PARQUET_SUFFIX) else source.rstrip("/")
    path = Path(source).resolve()
    return str(path.parent if path.is_file() else path)
