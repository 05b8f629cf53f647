"""Learn from a folder of good parts, judge another folder, keep the model and a table of verdicts.

python train_and_score.py bottle/train/good bottle/test --model bottle.safetensors --table verdicts.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from differnet import DifferNet, Failure
from differnet.sinks import open_sink


def main() -> None:
    """Train, score, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("good", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--model", type=Path, default=Path("model.safetensors"))
    parser.add_argument("--table", default="verdicts.csv")  # *.jsonl, *.parquet and https:// addresses too
    options = parser.parse_args()

    model = DifferNet().fit(options.good)
    print(model, model.uncalibrated_reason)
    model.save(options.model)

    with open_sink(options.table) as table:
        for result in model.inspect_stream(options.images):
            table.write(result)
            if isinstance(result, Failure):
                print("could not be used:", result)
            elif result.decision == "reject":
                print(f"{result.source}: score {result.score:.3f}, {result.margin:.3f} above the threshold")


if __name__ == "__main__":
    main()
