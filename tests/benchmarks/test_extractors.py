"""The comparison of extractors runs on a processor, says whose weights are missing, and measures nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.extractors import NO_WEIGHTS, choose, main, table


def test_the_quick_run_prints_a_table_and_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import extractors
    from differnet.bench.photographs import make_product

    # Where nobody has put its weights.
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    make_product(tmp_path / "nuts", width=96, height=96, training=6, testing=2)
    only = ["--only=default:efficientnet-lite0", "--only=paper:alexnet", "--only=paper:resnet18"]
    words = [f"nuts={tmp_path / 'nuts'}", "--quick", "--device=cpu", *only, f"-o{tmp_path / 'results.jsonl'}"]
    main(words)
    printed = capsys.readouterr().out
    assert f"| paper | resnet18 | {NO_WEIGHTS} |" in printed
    for row in ("| paper | alexnet |", "| default | efficientnet-lite0 |"):
        assert 0.0 <= float(printed.split(row)[1].split("|")[0]) <= 1.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nuts", "results.jsonl"]
    monkeypatch.setattr(extractors, "DifferNet", None)  # nothing is learnt again
    main(words)
    assert capsys.readouterr().out == printed


def test_the_table_has_the_mean_of_the_seeds_beside_what_was_published() -> None:
    rows = [
        {"preset": "paper", "extractor": "vgg16", "product": "bottle", "auroc": value, "seed": seed}
        for seed, value in enumerate((0.9, 0.95))
    ]
    lines = table(rows, ["bottle", "cells"]).splitlines()
    assert lines[2:] == [
        "| paper, published | AlexNet | 0.990 |  |",
        "| paper | vgg16 | 0.9250 (mean of 2, 0.9000 to 0.9500) |  |",
    ]


def test_only_names_presets_and_extractors() -> None:
    assert choose(["paper"]) == [("paper", "alexnet"), ("paper", "vgg16"), ("paper", "resnet18")]
    assert choose(["default:vgg16"]) == [("default", "vgg16")]
    with pytest.raises(SystemExit, match="only default"):
        choose(["papers"])
