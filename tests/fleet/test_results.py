"""Where rows go, and how a run goes on from them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from differnet.errors import OutputError
from differnet.fleet import results as module
from differnet.fleet.results import RESULT_COLUMNS, Done, Results, hash_of
from differnet.sinks.tables import arrow_table
from tests.fleet.conftest import names, result_rows

MODEL = "0123456789ab"


def rows_of(product: str, paths: Sequence[str], model: str | None = MODEL, threshold: float | None = 2.0) -> list[Any]:
    return [
        {"product": product, "path": path, "model_id": model, "score": 1.0, "threshold": threshold} for path in paths
    ]


def add(results: Results, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        results.write_row(row)


def test_rows_lie_in_a_folder_for_each_product_and_a_new_run_knows_them(tmp_path: Path) -> None:
    odd = "50 %/nut=ß"
    with Results(tmp_path / "out") as results:
        add(results, rows_of("bolt", ["a", "b"]) + rows_of(odd, ["a"]))
    assert names(result_rows(tmp_path / "out")) == [(odd, "a"), ("bolt", "a"), ("bolt", "b")]
    done = Results(tmp_path / "out").done({"bolt": MODEL, odd: MODEL})
    assert len(done) == 3
    assert all(key in done for key in [("bolt", "a"), ("bolt", "b"), (odd, "a")])
    assert all(key not in done for key in [("bolt", "c"), (odd, "b"), ("nut", "a"), ("", "bolt\0a")])


def test_nothing_is_done_in_a_new_folder(tmp_path: Path) -> None:
    done = Results(tmp_path / "out").done({})
    assert len(done) == 0
    assert ("bolt", "a") not in done


def test_files_are_written_when_there_is_enough_or_after_a_while(tmp_path: Path) -> None:
    results = Results(tmp_path, rows=3, seconds=1000.0)
    add(results, rows_of("bolt", ["a", "b"]) + rows_of("nut", ["a"]))
    assert not list(tmp_path.rglob("*.parquet"))
    add(results, rows_of("bolt", ["c"]))
    assert names(result_rows(tmp_path)) == [("bolt", "a"), ("bolt", "b"), ("bolt", "c")]
    results.close()
    assert len(result_rows(tmp_path)) == 4

    impatient = Results(tmp_path / "other", rows=1000, seconds=0.05)
    add(impatient, rows_of("bolt", ["a"]))
    time.sleep(0.06)
    add(impatient, rows_of("nut", ["a"]))
    assert names(result_rows(tmp_path / "other")) == [("bolt", "a")]


def test_tables_of_workers_are_kept_as_rows_are(tmp_path: Path) -> None:
    columns = {"product": str, **RESULT_COLUMNS}
    with Results(tmp_path, rows=3, seconds=1000.0) as results:
        results.add_table(arrow_table(columns, rows_of("bolt", ["a", "b"]) + rows_of("nut", ["a"])))
        assert not list(tmp_path.rglob("*.parquet"))
        results.add_table(arrow_table(columns, rows_of("bolt", ["c"])))
        assert len(list(tmp_path.rglob("*.parquet"))) == 1
        results.add_table(arrow_table(columns, []))
        add(results, rows_of("nut", ["b"]))
    rows = result_rows(tmp_path)
    assert names(rows) == [("bolt", "a"), ("bolt", "b"), ("bolt", "c"), ("nut", "a"), ("nut", "b")]
    assert {(row["model_id"], row["score"], row["error"]) for row in rows} == {(MODEL, 1.0, None)}


def test_a_run_that_ends_badly_keeps_what_it_scored(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Results(tmp_path) as results:
        add(results, rows_of("bolt", ["a"]))
        raise RuntimeError
    assert names(result_rows(tmp_path)) == [("bolt", "a")]


def test_what_a_killed_run_left_unfinished_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "product=bolt").mkdir()
    (tmp_path / "product=bolt" / ".abc.part").write_bytes(b"half a table")
    assert len(Results(tmp_path).done({"bolt": MODEL})) == 0


def test_verdicts_of_another_model_or_threshold_are_not_mixed(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        add(results, rows_of("bolt", ["a"]))
    with pytest.raises(OutputError, match="holds verdicts of the model 0123456789ab, not of ba9876543210"):
        Results(tmp_path).done({"bolt": "ba9876543210"})
    with pytest.raises(OutputError, match="not of any that is given for 'bolt'"):
        Results(tmp_path).done({"nut": MODEL})
    assert len(Results(tmp_path).done({"bolt": MODEL}, {"bolt": 2.0})) == 1
    for threshold in (2.5, None):
        with pytest.raises(OutputError, match="by the threshold 2, "):
            Results(tmp_path).done({"bolt": MODEL}, {"bolt": threshold})


def test_rows_without_a_model_do_not_stand_in_the_way(tmp_path: Path) -> None:
    with Results(tmp_path) as results:
        [row] = rows_of("bolt", ["a"], model=None, threshold=None)
        add(results, [row | {"error": "There is no model of 'bolt'; train it."}])
    assert ("bolt", "a") in Results(tmp_path).done({"bolt": MODEL}, {"bolt": 2.0})


def test_a_run_goes_on_from_csv_where_pyarrow_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "table_suffix", lambda: ".csv")
    with Results(tmp_path) as results:
        add(results, rows_of("bolt", ["a", "b, \n"]))
    [file] = tmp_path.rglob("part-*")
    assert file.suffix == ".csv"
    done = Results(tmp_path).done({"bolt": MODEL}, {"bolt": 2.0})
    assert ("bolt", "b, \n") in done
    assert len(done) == 2


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        Results(tmp_path / "file" / "out")


def test_a_hundred_thousand_names_are_found_without_errors_and_quickly() -> None:
    hashes = b"".join(hash_of("bolt", str(i)) for i in range(100_000))
    done = Done.of(hashes + hashes[:160])
    assert len(done) == 100_000
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    assert all(("bolt", str(i)) in done for i in rng.integers(0, 100_000, 2000))
    assert not any(("bolt", str(i)) in done for i in range(100_000, 102_000))
    # A look through all of them would take a hundred times as long.
    assert time.perf_counter() - started < 2.0
