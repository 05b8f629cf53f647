"""Rows in SQLite and in PostgreSQL: both find the same."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

from differnet.errors import SettingsError
from differnet.server.problems import Problem
from differnet.server.storage.database import Database, images, inspections, metadata, reviews
from differnet.server.storage.keyring import KeyRing
from differnet.server.storage.records import Entry, Filter, Records

START = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)


def entry(number: int, decision: str | None = "accept", model: str = "bottle", sha256: str | None = None) -> Entry:
    time = START + timedelta(minutes=number)
    row = {
        "id": uuid.uuid4().hex,
        "created": time,
        "hour": int(time.timestamp()) // 3600,
        "model": model,
        "model_id": "0123456789ab",
        "filename": f"part_{number}.png",
        "sha256": sha256 or f"{number:064x}",
        "score": 0.1 * number,
        "threshold": 1.0,
        "margin": 0.1 * number - 1.0,
        "p_value": 0.5,
        "decision": decision,
        "width": 640,
        "height": 480,
        "milliseconds": 12.5,
        "views": 1,
    }
    return Entry(row, 1000, "image/png")


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database)


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database, database_url: str) -> None:
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0006"
    Records(database).add([entry(0)])
    with database.writing() as connection:  # as it was before there were products
        config = Config()
        config.set_main_option("script_location", "differnet.server:migrations")
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
        assert "products" not in sa.inspect(connection).get_table_names()
    again = Database(database_url)
    with again.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert Records(again).page(Filter(), limit=9).total == 1
    again.close()


def test_an_inspection_comes_back_as_it_was_recorded(records: Records) -> None:
    given = entry(3)
    records.add([given])
    found = records.get(given.row["id"])
    assert {name: found[name] for name in given.row} == dict(given.row)
    assert (found["media_type"], found["removed_at"], found["review"]) == ("image/png", None, None)
    with pytest.raises(Problem, match="no inspection") as caught:
        records.get("nothing")
    assert caught.value.status == 404


def test_pages_go_through_all_of_it_newest_first(records: Records) -> None:
    given = [entry(number) for number in range(10)]
    records.add(given[:4])
    records.add(given[4:])
    seen, before = [], None
    while True:
        page = records.page(Filter(), limit=4, before=before)
        assert page.total == 10
        seen += [row["id"] for row in page.rows]
        if page.next is None:
            break
        before = page.next
    assert seen == [one.row["id"] for one in reversed(given)]


def test_filters(records: Records) -> None:
    given = [
        entry(0, "accept"),
        entry(1, "reject"),
        entry(2, "review", model="cable"),
        entry(3, "reject"),
        entry(4, None, model="cable"),
    ]
    records.add(given)
    records.review(given[1].row["id"], "good", "100% clean_ish", None)

    def found(**wanted: object) -> list[int]:
        rows = records.page(Filter(**wanted), limit=100).rows  # type: ignore[arg-type]
        return [next(i for i, one in enumerate(given) if one.row["id"] == row["id"]) for row in rows]

    assert found(model="cable") == [4, 2]
    assert found(decision="reject") == [3, 1]
    assert found(review="good") == [1]
    assert found(review="none") == [4, 3, 2, 0]
    assert found(queue=True) == [2, 3]
    assert found(since=START + timedelta(minutes=2), until=START + timedelta(minutes=4)) == [3, 2]
    assert found(search="PART_3") == [3]
    assert found(search="100%") == [1]
    assert found(search="clean_") == [1]
    assert found(search="n_is") == [1]
    assert found(search="%") == [1]
    assert found(search=given[0].row["id"][:10]) == [0]
    assert found(search="'; DROP TABLE inspections; --") == []
    assert found(model="bottle", decision="reject", review="none") == [3]


def test_the_queue_pages_too(records: Records) -> None:
    given = [entry(number, "reject") for number in range(5)]
    records.add(given)
    first = records.page(Filter(queue=True), limit=3)
    records.review(given[0].row["id"], "good", None, None)
    second = records.page(Filter(queue=True), limit=3, before=first.next)
    assert [row["id"] for row in (*first.rows, *second.rows)] == [one.row["id"] for one in given]
    assert (first.total, second.total, second.next) == (5, 4, None)


def test_the_last_word_of_a_review_counts_and_all_are_kept(records: Records, database: Database) -> None:
    given = entry(1, "reject")
    records.add([given])
    records.review(given.row["id"], "unsure", "blurred", "aaaa0000")
    found = records.review(given.row["id"], "good", None, "bbbb1111")
    assert (found["review"], found["note"]) == ("good", None)
    assert found["reviewed_at"] > START
    with database.reading() as connection:
        history = connection.execute(sa.select(reviews).order_by(reviews.c.seq)).all()
    assert [(row.review, row.note, row.key) for row in history] == [
        ("unsure", "blurred", "aaaa0000"),
        ("good", None, "bbbb1111"),
    ]
    with pytest.raises(Problem, match="no inspection"):
        records.review("nothing", "good", None, None)


def test_images_reviewed_good_are_named_once_while_they_are_there(records: Records, database: Database) -> None:
    given = [entry(0), entry(1), entry(2, sha256="a" * 64), entry(3, sha256="a" * 64), entry(4, model="cable")]
    records.add(given)
    for one in given:
        records.review(one.row["id"], "good", None, None)
    records.review(given[1].row["id"], "defective", None, None)
    assert records.reviewed_good("bottle") == [given[0].row["sha256"], "a" * 64]
    assert records.count_reviewed("bottle") == {"good": 2, "defective": 1}
    assert records.count_reviewed("nothing") == {"good": 0, "defective": 0}
    with database.writing() as connection:
        connection.execute(sa.update(images).where(images.c.sha256 == "a" * 64).values(removed_at=START))
    assert records.reviewed_good("bottle") == [given[0].row["sha256"]]
    records.add([entry(5, sha256="a" * 64)])  # inspected again, and so stored again
    assert records.reviewed_good("bottle") == [given[0].row["sha256"], "a" * 64]


def test_all_or_none_are_recorded(records: Records) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        first = entry(1)
        records.add([first, Entry(dict(first.row), 1, "image/png")])
    assert records.page(Filter(), limit=9).total == 0


def test_writers_and_readers_at_once(records: Records, database: Database) -> None:
    given = [entry(number, "reject") for number in range(80)]
    records.add(given[:40])

    def work(number: int) -> None:
        if number % 2:
            records.add([given[40 + number // 2]])
        else:
            records.review(given[number // 2].row["id"], "good", None, None)
        records.page(Filter(queue=True), limit=5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert records.page(Filter(), limit=1).total == 80
    assert records.page(Filter(review="good"), limit=1).total == 40


def test_keys(database: Database) -> None:
    ring = KeyRing(database)
    assert ring.valid() == {}
    assert not ring.any
    with pytest.raises(SettingsError, match="role 'boss'"):
        ring.create("x", "boss")
    made = {role: ring.create(role, role) for role in ("inspect", "review", "admin")}
    other = KeyRing(database)
    for role, (key, secret) in made.items():
        found = other.find(secret)
        assert found is not None
        assert (found.id, found.role) == (key.id, role)
        assert found.may("inspect")
        assert found.may("admin") == (role == "admin")
        assert secret not in repr(found)
    assert other.find(made["admin"][1][:-1]) is None
    ring.revoke(made["admin"][0].id)
    with pytest.raises(SettingsError, match="in force"):
        ring.revoke(made["admin"][0].id)
    third = KeyRing(database)
    assert third.find(made["admin"][1]) is None
    assert third.any


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://me:secret@localhost/x", "'mysql' are not supported"),
        ("postgresql://me:secret@127.0.0.1:1/x", "cannot be used"),
        ("sqlite:////nowhere/at/all.db", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(url: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_connections_that_the_server_dropped_are_replaced(postgres_server: str) -> None:
    database = Database(postgres_server)
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    with database.reading() as first, database.reading() as second:
        assert first.exec_driver_sql("SELECT 1").scalar() == second.exec_driver_sql("SELECT 1").scalar() == 1
    other = sa.create_engine(sa.make_url(postgres_server).set(drivername="postgresql+psycopg"))
    with other.connect() as connection:
        assert len(connection.exec_driver_sql(kill).all()) >= 2
    with database.reading() as first:
        assert first.exec_driver_sql("SELECT 1").scalar() == 1
    other.dispose()
    database.close()


def test_what_the_database_cannot_do_now_is_told(tmp_path: Path) -> None:
    database = Database.in_folder(tmp_path)
    with pytest.raises(Problem, match="cannot be reached") as caught, database.reading() as connection:
        connection.execute(sa.text("SELECT * FROM nowhere"))
    assert caught.value.status == 503
    with pytest.raises(Problem, match="its disk may be full") as caught, database.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # as on a full one
        connection.exec_driver_sql("CREATE TABLE more (content BLOB)")
        connection.exec_driver_sql("INSERT INTO more VALUES (zeroblob(1000000))")
    assert caught.value.status == 503
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(inspections)) == 0
    database.close()
