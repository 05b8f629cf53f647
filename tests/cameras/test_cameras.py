"""Frames of recordings, of the network and of a simulated industrial camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from differnet.cameras import CAMERAS, GenicamCamera, OpenCvCamera, make_camera
from differnet.cameras.camera import Camera
from differnet.errors import CameraError, MissingExtraError, SettingsError
from tests.cameras.recordings import NetworkCamera, grey, make_video


def simulated() -> str:
    """The simulated camera that comes with the package genicam."""
    genicam = pytest.importorskip("genicam")
    pytest.importorskip("harvesters")
    (producer,) = Path(genicam.__file__).parent.glob("*.cti")
    return str(producer)


def test_a_recording_gives_each_frame_once_to_the_pixel_then_ends(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = [np.repeat(rng.integers(0, 256, (48, 64, 1), np.uint8), 3, axis=2) for _ in range(6)]
    file = make_video(tmp_path / "parts #1.mkv", frames, rate=5.0)
    with make_camera(str(file)) as camera:
        found = [camera.read() for _ in range(7)]
    assert found[6] is None
    for number, (frame, pixels) in enumerate(zip(found, frames, strict=False), start=1):
        assert frame is not None
        assert frame.number == number
        assert frame.seconds == pytest.approx((number - 1) / 5.0)
        assert np.array_equal(frame.pixels, pixels)


def test_a_recording_that_was_cut_off_is_said_to_end_early(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = make_video(tmp_path / "whole.avi", [grey(value) for value in range(0, 240, 6)], codec="MJPG")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for file, said in ((whole, ""), (cut, "of 40 frames; it may be damaged")):
        with make_camera(str(file)) as camera:
            count = sum(1 for _ in iter(camera.read, None))
        assert (count == 40) is (file == whole)
        assert said in caplog.text
        assert bool(caplog.text) is bool(said)


def test_a_camera_on_the_network_goes_away_and_comes_back() -> None:
    network = NetworkCamera()
    camera = make_camera(network.url)
    with pytest.raises(CameraError, match="is not there") as told:
        camera.open()
    assert "secret" not in str(told.value) + camera.label
    for _ in range(2):
        network.plug()
        with camera:
            frame = camera.read()
            assert frame is not None
            assert frame.pixels.shape == (32, 32, 3)
            network.unplug()
            with pytest.raises(CameraError, match="no more frames"):
                while True:
                    camera.read()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nowhere.avi", "nowhere.avi: is no camera; give the index"),
        ("ftp://user:secret@host/a", "ftp://: is no camera"),
        ("0?width=much", "width=much: is no number"),
        ("0?width", "NAME=VALUE"),
        ("genicam:1?cti=/nowhere/a.cti", "no such file|differnet"),
    ],
)
def test_sources_that_are_none(source: str, told: str) -> None:
    with pytest.raises((SettingsError, MissingExtraError), match=told):
        make_camera(source)


def test_what_is_not_there_is_told_by_opening(tmp_path: Path) -> None:
    (tmp_path / "text.avi").write_text("no video")
    (tmp_path / "text.png").write_text("no picture, which FFmpeg opens by its name")
    none = [(str(tmp_path / f"text.{suffix}"), "is no video") for suffix in ("avi", "png")]
    for source, told in (*none, ("99", "camera 99: is not there")):
        with pytest.raises(CameraError, match=told):
            make_camera(source).open()


@pytest.mark.parametrize(("form", "shape"), [("Mono8", (400, 400)), ("RGBa8", (400, 400, 3))])
def test_genicam_by_its_simulated_camera(form: str, shape: tuple[int, ...]) -> None:
    source = f"genicam:1?cti={simulated()}&PixelFormat={form}&AcquisitionFrameRate=50"
    camera = make_camera(source)
    assert isinstance(camera, GenicamCamera)
    for _ in range(2):  # opened again after it was closed
        with camera:
            frames = [camera.read() for _ in range(2)]
        for frame in frames:
            assert frame is not None
            assert frame.pixels.shape == shape
            assert frame.pixels.dtype == np.uint8
            assert frame.pixels.std() > 0
        assert frames[0] is not None
        assert frames[1] is not None
        assert frames[1].seconds > frames[0].seconds


def test_what_is_wrong_with_a_genicam_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = simulated()
    with pytest.raises(CameraError, match=r"genicam:77: is not there; there are 0, 1, 2"):
        make_camera(f"genicam:77?cti={producer}").open()
    with pytest.raises(SettingsError, match="has no feature Nothing"):
        make_camera(f"genicam:1?cti={producer}&Nothing=1").open()
    with pytest.raises(SettingsError, match="does not take PixelFormat=Mono99"):
        make_camera(f"genicam:1?cti={producer}&PixelFormat=Mono99").open()
    monkeypatch.setenv("GENICAM_GENTL64_PATH", str(Path(producer).parent))
    with make_camera("genicam:2") as camera:
        assert camera.read() is not None
    monkeypatch.setenv("GENICAM_GENTL64_PATH", "")
    with pytest.raises(SettingsError, match="no producer is named"):
        make_camera("genicam:2")


def test_each_kind_says_which_sources_are_its_own(tmp_path: Path) -> None:
    file = make_video(tmp_path / "a.avi", [grey(1)])
    kinds: list[type[Camera]] = [GenicamCamera, OpenCvCamera]
    assert list(CAMERAS.values()) == kinds
    for source, kind in (("genicam:", 0), ("0", 1), ("1?width=640", 1), ("RTSP://a/b", 1), (str(file), 1)):
        assert [each.takes(source) for each in kinds] == [kind == 0, kind == 1]
