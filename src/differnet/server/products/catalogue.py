"""Products, their pictures, versions and releases in the database, and who did what."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from differnet.server.problems import Problem
from differnet.server.products.names import checked_name, folded
from differnet.server.storage.database import Database, keys, now
from differnet.server.storage.product_tables import audit, jobs, pictures, products, releases, versions

__all__ = ["ACTIVE", "Catalogue", "Row"]

Row = dict[str, Any]
"""The columns of a table."""

ACTIVE = ("queued", "running")
"""States of jobs that are not over."""

_HISTORY = 200
_MOST_PRODUCTS = 500


class Catalogue:
    """What there is, and who changed it.

    Args:
        database: With its tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, choices: Mapping[str, Any], key: str | None) -> Row:
        """Make a product.

        Raises:
            Problem: 409 if there is one of that name, 422 if it cannot be called so.
        """
        kept = checked_name(name)
        row = {"id": uuid.uuid4().hex, "name": kept, "created": now(), "choices": dict(choices)}
        try:
            with self._database.writing() as connection:
                if (connection.scalar(sa.select(sa.func.count()).select_from(products)) or 0) >= _MOST_PRODUCTS:
                    raise Problem(409, f"There are {_MOST_PRODUCTS} products already; remove one that is not needed.")
                connection.execute(sa.insert(products).values(**row, folded=folded(kept)))
                _note(connection, row, "create", key)
        except IntegrityError:
            raise Problem(409, f"There is a product '{kept}' already; open it, or choose another name.") from None
        return row

    def all(self) -> list[Row]:
        """All products, by name."""
        counts = (
            sa.select(pictures.c.product, sa.func.count().label("pictures")).group_by(pictures.c.product).subquery()
        )
        query = (
            sa.select(products, sa.func.coalesce(counts.c.pictures, 0).label("pictures"))
            .outerjoin(counts, counts.c.product == products.c.id)
            .order_by(products.c.folded)
        )
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def get(self, product: str) -> Row:
        """One product.

        Raises:
            Problem: 404 if there is none.
        """
        with self._database.reading() as connection:
            return _get(connection, product)

    def choose(self, product: str, choices: Mapping[str, Any], key: str | None) -> Row:
        """Change what a product's trainings go by."""
        with self._database.writing() as connection:
            row = _get(connection, product)
            connection.execute(sa.update(products).where(products.c.id == product).values(choices=dict(choices)))
            _note(connection, row, "choose", key, dict(choices))
            return {**row, "choices": dict(choices)}

    def remove(self, product: str, key: str | None) -> Row:
        """Remove a product and all that is known of it but who did what.

        Raises:
            Problem: 409 while a job of it is not over.
        """
        with self._database.writing() as connection:
            row = _get(connection, product)
            _check_idle(connection, product)
            for table in (pictures, versions, releases, jobs):
                connection.execute(sa.delete(table).where(table.c.product == product))
            connection.execute(sa.delete(products).where(products.c.id == product))
            _note(connection, row, "remove", key)
        return row

    def add_pictures(
        self, product: str, rows: Sequence[Row], key: str | None, most: int, *, noted: bool = True
    ) -> None:
        """Write down pictures whose files are on disk; those that are known already stay as they are.

        Raises:
            Problem: 409 if the product would have more than so many.
        """
        with self._database.writing() as connection:
            row = _get(connection, product)
            count = sa.select(sa.func.count()).where(pictures.c.product == product)
            before = connection.scalar(count) or 0
            insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(pictures)
            once = insert.on_conflict_do_nothing(index_elements=["product", "sha256"])
            if rows:
                time = now()
                connection.execute(once, [{**each, "product": product, "created": time, "key": key} for each in rows])
            added = (connection.scalar(count) or 0) - before
            if before + added > most:
                raise Problem(409, f"A product takes {most} pictures; remove some, or make another product.")
            if added and noted:
                _note(connection, row, "add pictures", key, {"pictures": added})

    def pictures(self, product: str) -> list[Row]:
        """All pictures of a product, in the order in which they came."""
        query = sa.select(pictures).where(pictures.c.product == product).order_by(pictures.c.seq)
        with self._database.reading() as connection:
            _get(connection, product)
            return [dict(row) for row in connection.execute(query).mappings()]

    def picture(self, product: str, sha256: str) -> Row:
        """One picture.

        Raises:
            Problem: 404 if there is none.
        """
        query = sa.select(pictures).where(pictures.c.product == product, pictures.c.sha256 == sha256)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise Problem(404, "There is no such picture; somebody may have removed it.")
        return dict(row)

    def leave_out(self, product: str, hashes: Collection[str], *, left_out: bool, key: str | None) -> int:
        """Have pictures left out of trainings, or not any more; returns how many changed."""
        with self._database.writing() as connection:
            row = _get(connection, product)
            chosen = pictures.c.sha256.in_(list(hashes)), pictures.c.left_out.is_not(left_out)
            change = sa.update(pictures).where(pictures.c.product == product, *chosen).values(left_out=left_out)
            changed = connection.execute(change).rowcount
            if changed:
                _note(connection, row, "leave out" if left_out else "take in", key, {"pictures": changed})
        return changed

    def remove_picture(self, product: str, sha256: str, key: str | None) -> None:
        """Forget a picture.

        Raises:
            Problem: 404 if there is none, 409 while a job of the product is not over.
        """
        with self._database.writing() as connection:
            row = _get(connection, product)
            _check_idle(connection, product)
            chosen = sa.delete(pictures).where(pictures.c.product == product, pictures.c.sha256 == sha256)
            if connection.execute(chosen).rowcount != 1:
                raise Problem(404, "There is no such picture; somebody may have removed it.")
            _note(connection, row, "remove picture", key, {"sha256": sha256})

    def versions(self, product: str) -> list[Row]:
        """All versions of a product, the newest first."""
        there = versions.c.product == product, versions.c.removed.is_(None)
        query = sa.select(versions).where(*there).order_by(versions.c.number.desc())
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def version(self, product: str, number: int) -> Row:
        """One version.

        Raises:
            Problem: 404 if there is none.
        """
        there = versions.c.product == product, versions.c.number == number, versions.c.removed.is_(None)
        query = sa.select(versions).where(*there)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise Problem(404, f"The product has no version {number}.")
        return dict(row)

    def remove_version(self, product: str, number: int, key: str | None) -> None:
        """Write down that a version is no longer there.

        Raises:
            Problem: 409 while a job uses it.
        """
        active = sa.select(jobs.c.wanted).where(jobs.c.product == product, jobs.c.state.in_(ACTIVE))
        with self._database.writing() as connection:
            row = _get(connection, product)
            for wanted in connection.scalars(active):
                if number in (wanted.get("version"), *wanted.get("versions", ())):
                    raise Problem(409, f"Work on version {number} is under way; wait for its end, or cancel it.")
            chosen = versions.c.product == product, versions.c.number == number
            connection.execute(sa.update(versions).where(*chosen).values(removed=now()))
            _note(connection, row, "remove version", key, {"version": number})

    def removed_versions(self) -> list[Row]:
        """All versions that are no longer there."""
        with self._database.reading() as connection:
            query = sa.select(versions).where(versions.c.removed.is_not(None))
            return [dict(row) for row in connection.execute(query).mappings()]

    def latest_release(self, product: str) -> Row | None:
        """The last release that was not taken back, None if there is none."""
        query = (
            sa.select(releases)
            .where(releases.c.product == product, releases.c.undone.is_(None))
            .order_by(releases.c.seq.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else dict(row)

    def released(self, product: str, version: int, replaced: str | None, key: str | None) -> None:
        """Write down that a version was put into service."""
        with self._database.writing() as connection:
            row = _get(connection, product)
            connection.execute(
                sa.insert(releases).values(product=product, version=version, created=now(), key=key, replaced=replaced)
            )
            _note(connection, row, "release", key, {"version": version})

    def rolled_back(self, release: Row, key: str | None) -> None:
        """Write down that a release was taken back."""
        with self._database.writing() as connection:
            row = _get(connection, str(release["product"]))
            connection.execute(sa.update(releases).where(releases.c.seq == release["seq"]).values(undone=now()))
            _note(connection, row, "roll back", key, {"version": release["version"]})

    def note(self, product: Row, action: str, key: str | None, about: Mapping[str, Any]) -> None:
        """Write down who did what."""
        with self._database.writing() as connection:
            _note(connection, product, action, key, about)

    def history(self, product: str) -> list[Row]:
        """Who did what with a product, the newest first, with the names of the keys."""
        query = (
            sa.select(audit, keys.c.name.label("key_name"))
            .outerjoin(keys, keys.c.id == audit.c.key)
            .where(audit.c.product == product)
            .order_by(audit.c.seq.desc())
            .limit(_HISTORY)
        )
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _get(connection: sa.Connection, product: str) -> Row:
    row = connection.execute(sa.select(products).where(products.c.id == product)).mappings().one_or_none()
    if row is None:
        raise Problem(404, "There is no such product; GET /v1/products lists those there are.")
    return dict(row)


def _check_idle(connection: sa.Connection, product: str) -> None:
    active = sa.select(jobs.c.kind).where(jobs.c.product == product, jobs.c.state.in_(ACTIVE)).limit(1)
    if connection.scalar(active) is not None:
        raise Problem(409, "Work on this product is under way and uses its pictures; wait for its end, or cancel it.")


def _note(
    connection: sa.Connection, product: Row, action: str, key: str | None, about: Mapping[str, Any] | None = None
) -> None:
    connection.execute(
        sa.insert(audit).values(
            created=now(), key=key, product=product["id"], name=product["name"], action=action, about=dict(about or {})
        )
    )
