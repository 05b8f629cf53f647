"""A camera's frames, each once: ``python -m benchmarks.camera MODEL PRODUCT [--frames 300] [--json]``.

A video of the product's labelled test images, whose defects are known, goes through ``differnet watch --camera``, which
is killed on its way and begun again; its rows are compared with ``differnet score`` on the same frames. Then the frames
come over the network, the camera is unplugged for a while, and plugged in again. Exit code 1 if anything is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet.cameras import make_camera
from differnet.images import load_image, read_test_images
from differnet.images.layouts import GOOD

# Frames of the camera on the network before it is unplugged, and after.
_BEFORE, _AFTER = 25, 25
_UNPLUGGED = 3.0
_PATIENCE = 300.0
_OF_A_VERDICT = ("score", "threshold", "decision", "p_value")


def main() -> None:
    """Run both, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.camera", description=__doc__)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("product", type=Path, help="product with labelled test images")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="differnet-camera-") as name:
        found = measure(arguments.model, arguments.product, arguments.frames, Path(name))
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in found.items()))
    sys.exit(0 if found["met"] else 1)


def measure(model: Path, product: Path, frames: int, folder: Path) -> dict[str, Any]:
    """A recording, then a camera that is unplugged."""
    labels, pictures = _pictures(product, frames)
    video = folder / "line.avi"
    _write(video, pictures)
    seen = folder / "frames"
    _save_frames(video, seen)
    scored = {Path(row["path"]).stem: row for row in _score(model, seen, folder / "scored.jsonl")}

    rows_file = folder / "rows.jsonl"
    command = _watch(model, str(video), rows_file)
    killed_after = _killed_in_the_middle(command, rows_file, frames // 3)
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this very package
    rows = _rows(rows_file)
    numbers = [int(row["path"].rpartition("#")[2]) for row in rows]
    different = sum(
        _verdict(row) != _verdict(scored[f"{number:06}"]) for row, number in zip(rows, numbers, strict=True)
    )
    decided = Counter((labels[number - 1], row["decision"]) for row, number in zip(rows, numbers, strict=True))
    network = _unplugged(model, pictures, folder)
    return {
        "frames": frames,
        "rows": len(rows),
        "killed_after_rows": killed_after,
        "each_once_in_order": numbers == list(range(1, frames + 1)),
        "verdicts_other_than_score": different,
        "decisions": {f"{label}, {decision}": number for (label, decision), number in sorted(decided.items())},
        **network,
        "met": numbers == list(range(1, frames + 1)) and different == 0 and bool(network["went_on"]),
    }


def _pictures(product: Path, frames: int) -> tuple[list[str], list[NDArray[np.uint8]]]:
    """Test images, good and defective mixed, each with a grain of its own, so that no two frames are the same."""
    tested = list(read_test_images(product))
    rng = np.random.default_rng(0)
    chosen = [tested[place] for place in rng.permutation(max(frames, len(tested)))[:frames] % len(tested)]
    height, width = load_image(chosen[0].path).shape[:2]
    found = []
    for image in chosen:
        pixels = cv2.resize(load_image(image.path), (width, height), interpolation=cv2.INTER_AREA).astype(np.int16)
        found.append(np.clip(pixels + rng.integers(-1, 2, pixels.shape[:2])[:, :, None], 0, 255).astype(np.uint8))
    return ["good" if image.kind == GOOD else "defective" for image in chosen], found


def _write(video: Path, pictures: Sequence[NDArray[np.uint8]]) -> None:
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"FFV1"), 10.0, (width, height))
    for pixels in pictures:
        writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    writer.release()


def _save_frames(video: Path, folder: Path) -> None:
    folder.mkdir()
    with make_camera(str(video)) as camera:
        for frame in iter(camera.read, None):
            cv2.imwrite(str(folder / f"{frame.number:06}.png"), cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR))


def _watch(model: Path, camera: str, rows: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "differnet", "watch", str(model), "--camera", camera]
    return [*command, "--jsonl", str(rows), *more]


def _score(model: Path, folder: Path, rows: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "differnet", "score", str(model), str(folder), "--jsonl", str(rows)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this very package
    return _rows(rows)


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def _verdict(row: dict[str, Any]) -> list[Any]:
    return [row[name] for name in _OF_A_VERDICT]


def _killed_in_the_middle(command: list[str], rows: Path, after: int) -> int:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own
    _wait(lambda: rows.exists() and rows.read_bytes().count(b"\n") >= after, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return rows.read_bytes().count(b"\n")


def _wait(reached: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + _PATIENCE
    while not reached():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError("'differnet watch' ended, or waits for nothing; see above")
        time.sleep(0.02)


def _unplugged(model: Path, pictures: Sequence[NDArray[np.uint8]], folder: Path) -> dict[str, Any]:
    camera = _NetworkCamera([cv2.imencode(".jpg", pixels[:, :, ::-1])[1].tobytes() for pixels in pictures[:_BEFORE]])
    camera.plug()
    rows, kept = folder / "network.jsonl", folder / "kept"
    command = _watch(model, camera.url, rows, "--every", "0.2", "--keep", str(kept))
    said = folder / "said.txt"
    with said.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)  # noqa: S603 - our own
    try:
        _wait(lambda: len(_rows(rows)) >= _BEFORE, process)
        camera.unplug()
        _wait(lambda: "looked for again" in said.read_text(), process)
        time.sleep(_UNPLUGGED)
        before = len(_rows(rows))
        camera.plug()
        _wait(lambda: len(_rows(rows)) >= before + _AFTER, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        camera.unplug()
    found = _rows(rows)
    names = [row["path"] for row in found]
    refused = {row["path"].rpartition("#")[2]: row for row in found if row["decision"] != "accept"}
    scored = {Path(row["path"]).stem: row for row in _score(model, kept, folder / "kept.jsonl")} if refused else {}
    return {
        "unplugged_after_rows": before,
        "rows_in_all": len(found),
        "names_once_in_order": names == sorted(set(names)),
        "said_that_it_is_back": "is back" in said.read_text(),
        "refused_kept_and_scored_alike": [
            sum(_verdict(row) == _verdict(scored[name]) for name, row in refused.items() if name in scored),
            len(refused),
        ],
        "went_on": len(found) >= before + _AFTER
        and names == sorted(set(names))
        and "is back" in said.read_text()
        and all(name in scored and _verdict(row) == _verdict(scored[name]) for name, row in refused.items()),
    }


class _NetworkCamera:
    """Frames as a stream over HTTP, the same ones again and again."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}/stream"
        self._frames = frames
        self._plugged = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    def plug(self) -> None:
        frames, plugged = self._frames, self._plugged

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                number = 0
                while plugged.is_set():
                    frame = frames[number % len(frames)]
                    number += 1
                    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + frame + b"\r\n")
                    except OSError:
                        return
                    time.sleep(0.05)
                self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        plugged.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def unplug(self) -> None:
        self._plugged.clear()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


if __name__ == "__main__":
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    main()
