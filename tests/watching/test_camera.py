"""Watching cameras: each frame once, in order; those for which there is no time are counted."""

from __future__ import annotations

import io
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from differnet import Failure, Verdict, load_image
from differnet.cameras import Camera, Frame, make_camera
from differnet.errors import CameraError, OutputError, SettingsError
from differnet.watching import CameraWatch, Journal, OutputFile, Recorder, make_trigger
from differnet.watching.mqtt_trigger import MqttTrigger
from differnet.watching.triggers import Asked, EverySeconds, HttpTrigger, Trigger
from differnet.watching.watcher import Content
from tests.cameras.recordings import NetworkCamera, grey, make_video
from tests.sinks.broker import broker
from tests.watching.conftest import QuickModel
from tests.watching.test_live import until


class Conveyor(Camera):
    """A part every few milliseconds; somebody pulls its plug between two frames now and then."""

    name = "conveyor"

    def __init__(self, source: str) -> None:
        self.label = source
        self._parts = 0
        self.opened = 0
        self.pulled_after: list[int] = []

    @classmethod
    def takes(cls, source: str) -> bool:
        return source == "conveyor"

    def open(self) -> None:
        self.opened += 1

    def read(self) -> Frame | None:
        time.sleep(0.005)
        if self._parts in self.pulled_after:
            self.pulled_after.remove(self._parts)
            raise CameraError("conveyor: has gone away; look at its plug.")
        self._parts += 1
        return Frame(grey(self._parts % 256), time.monotonic())

    def close(self) -> None:
        pass


class Bench:
    """A watch on a camera with its journal and rows, as a process would have it."""

    def __init__(self, root: Path, camera: Camera, trigger: Trigger, keep: Path | None = None) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []
        self.model = QuickModel()
        self.journal = Journal(root / "journal")
        self._output = OutputFile(root / "out.csv", "csv", self.journal)
        recorder = Recorder(None, self.journal, [self._output])
        self.watch = CameraWatch(
            camera, trigger, self.model, self.journal, recorder,
            keep=keep, say=self.said.append, warn=self.warned.append,
        )  # fmt: skip

    def rows(self) -> list[str]:
        """The names of the frames that have rows."""
        return [line.partition(b",")[0].decode() for line in self._output.path.read_bytes().splitlines()[1:]]

    def close(self) -> None:
        self._output.close()
        self.journal.close()


@contextmanager
def running(bench: Bench) -> Iterator[None]:
    thread = threading.Thread(target=bench.watch.run)
    thread.start()
    try:
        yield
    finally:
        bench.watch.stop()
        thread.join(10)
        bench.close()
        assert not thread.is_alive()


def values(bench: Bench) -> list[int]:
    return [content[0] for content in bench.model.seen]


def test_a_recording_goes_on_where_an_earlier_process_ended(tmp_path: Path) -> None:
    file = make_video(tmp_path / "line.mkv", [grey(value) for value in range(1, 31)])
    bench = Bench(tmp_path, make_camera(str(file)), Trigger())
    bench.model.on_image = lambda content: bench.watch.stop() if content == b"\5" else None
    bench.watch.run()
    bench.close()
    before = values(bench)
    assert 5 <= len(before) < 30
    bench = Bench(tmp_path, make_camera(str(file)), Trigger())
    bench.watch.run()
    assert before + values(bench) == list(range(1, 31))
    assert bench.rows() == [f"{file}#{number:06}" for number in range(1, 31)]
    assert not bench.watch.is_stopping
    bench.watch.once()
    assert len(bench.rows()) == 30
    bench.close()


def test_a_camera_on_the_network_unplugged_and_back(tmp_path: Path) -> None:
    network = NetworkCamera()
    network.plug()
    bench = Bench(tmp_path, make_camera(network.url), EverySeconds(0.05))
    with running(bench):
        until(lambda: bench.watch.inspected >= 3)
        network.unplug()
        until(lambda: bool(bench.warned))
        seen = bench.watch.inspected
        network.plug()
        until(lambda: bench.watch.inspected >= seen + 3)
        network.unplug()
        until(lambda: len(bench.warned) == 2)
    assert [line.partition("stream: ")[2] for line in bench.said] == ["is back."]
    assert not any("secret" in line for line in bench.said + bench.warned + bench.rows())
    assert bench.rows() == sorted(set(bench.rows()))


def test_a_camera_that_opens_and_gives_nothing_is_told_once_and_not_back(tmp_path: Path) -> None:
    conveyor = Conveyor("conveyor")
    conveyor.pulled_after = [5] * 3
    bench = Bench(tmp_path, conveyor, Trigger())
    with running(bench):
        until(lambda: len(conveyor.pulled_after) == 1)
        assert bench.said == []
        until(lambda: bench.watch.inspected > 5)
    assert conveyor.opened == 4
    assert len(bench.warned) == 1
    assert bench.said == ["conveyor: is back."]


def test_frames_for_which_there_is_no_time_are_dropped_and_counted(tmp_path: Path) -> None:
    conveyor = Conveyor("conveyor")
    conveyor.pulled_after = [30]
    bench = Bench(tmp_path, conveyor, Trigger())
    bench.model.on_image = lambda content: time.sleep(0.02)
    with running(bench):
        until(lambda: conveyor._parts > 80)
    assert conveyor.opened == 2
    assert bench.watch.inspected + bench.watch.dropped == pytest.approx(conveyor._parts, abs=1)
    assert bench.watch.dropped > 20
    assert values(bench) == sorted(set(values(bench)))
    assert any("dropped so far" in line for line in bench.warned)


def test_one_frame_of_a_camera_and_the_refused_are_kept(tmp_path: Path) -> None:
    keep = tmp_path / "refused"
    bench = Bench(tmp_path, Conveyor("conveyor"), Trigger(), keep)
    bench.model.on_image = lambda content: bench.model.seen.append(b"bad")
    bench.watch.once()
    bench.close()
    assert bench.watch.inspected == 1
    assert list(keep.glob("*")) == []  # a model without a threshold refuses nothing
    file = make_video(tmp_path / "line.mkv", [grey(value) for value in (98, 7)])
    bench = Bench(tmp_path, make_camera(str(file)), Trigger(), keep)
    bench.model = QuickModel()
    bench.watch._model = Choosy()
    bench.watch.run()
    bench.close()
    assert [path.name for path in keep.iterdir()] == ["000001.png"]
    assert (load_image(keep / "000001.png") == 98).all()


class Choosy(QuickModel):
    """Takes what is bright for no image."""

    def inspect(self, contents: Iterable[Content]) -> Iterator[Verdict | Failure]:
        frames = [each for each in contents if not isinstance(each, bytes)]
        return super().inspect([b"bad" if frame.max() > 50 else frame for frame in frames])


def test_every_so_many_seconds_by_the_frames_own_clock() -> None:
    trigger = EverySeconds(1.0)
    seconds = [0.0, 0.4, 0.9, 1.1, 1.9, 2.0, 5.5, 5.9, 6.1]
    assert [each for each in seconds if trigger.wants(Frame(grey(0), each))] == [0.0, 1.1, 2.0, 5.5, 6.1]


def inspected(bench: Bench, number: int) -> bool:
    return bench.watch.inspected == number


def photographs(root: Path, trigger: Trigger, ask: Callable[[], None], times: int) -> Bench:
    """Ask for frames one by one, of a camera that gives many."""
    bench = Bench(root, Conveyor("conveyor"), trigger)
    with running(bench):
        time.sleep(0.1)
        assert bench.watch.inspected == 0
        for number in range(times):
            ask()
            until(partial(inspected, bench, number + 1))
        time.sleep(0.05)
    assert bench.watch.inspected == times
    return bench


def test_asked_by_http(tmp_path: Path) -> None:
    trigger = HttpTrigger("127.0.0.1", 0)

    def post(**headers: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{trigger.port}/", b"", headers, method="POST")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)

    def ask() -> None:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            post(Origin="https://elsewhere.example")
        assert post() == 202

    photographs(tmp_path, trigger, ask, 2)
    first = HttpTrigger("127.0.0.1", 0)
    with first, pytest.raises(OutputError, match="choose another address"):
        HttpTrigger("127.0.0.1", first.port).open()


def test_asked_by_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n"))
    bench = Bench(tmp_path, Conveyor("conveyor"), make_trigger(None, "key"))
    with running(bench):
        until(lambda: bench.watch.inspected == 2)


def test_asked_by_mqtt_but_not_by_a_message_of_earlier(tmp_path: Path) -> None:
    warned: list[str] = []
    with broker(tmp_path) as running_broker:
        address = f"mqtt://127.0.0.1:{running_broker.port}/line1/trigger"
        trigger = make_trigger(None, address, warn=warned.append)
        assert isinstance(trigger, MqttTrigger)
        running_broker.publish("line1/trigger", b"old", retain=True)

        def ask() -> None:
            until(trigger._client.is_connected)
            running_broker.publish("line1/trigger", b"")

        photographs(tmp_path, trigger, ask, 2)


def test_those_who_ask_too_much_are_told() -> None:
    asked = Asked()
    assert [asked.ask() for _ in range(65)] == [True] * 64 + [False]


@pytest.mark.parametrize("trigger", ["bell", "http://host/", "https://host:1/", "mqtt://host", "http://host:99999"])
def test_triggers_that_are_none(trigger: str) -> None:
    with pytest.raises(SettingsError, match="The trigger"):
        make_trigger(None, trigger)
