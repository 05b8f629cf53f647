"""A real MQTT broker, mosquitto, and a subscriber that misses nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

MOSQUITTO = shutil.which(
    "mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
)


class Broker:
    """mosquitto on a port of its own; it keeps what subscribers have not got yet across restarts."""

    def __init__(self, folder: Path, lines: Sequence[str] = ()) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        store = folder / "broker"
        store.mkdir(exist_ok=True)
        self._file = folder / "mosquitto.conf"
        kept = [
            "persistence true",
            f"persistence_location {store}/",
            "autosave_on_changes true",
            "autosave_interval 1",
            "max_queued_messages 10000",
        ]
        user = ["user root"] if os.name != "nt" and os.geteuid() == 0 else []
        access = [] if any(line.startswith("password_file") for line in lines) else ["allow_anonymous true"]
        self._file.write_text("\n".join([*user, *kept, f"listener {self.port} 127.0.0.1", *access, *lines]) + "\n")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(MOSQUITTO), "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise AssertionError("mosquitto did not start")

    def publish(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Publish, and wait until the broker has it."""
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        client.publish(topic, body, qos=1, retain=retain).wait_for_publish(5)
        client.disconnect()
        client.loop_stop()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def broker(folder: Path, lines: Sequence[str] = ()) -> Iterator[Broker]:
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    running = Broker(folder, lines)
    try:
        yield running
    finally:
        running.kill()


class Subscriber:
    """Keeps what comes below a topic, in order; its session outlives its connections."""

    def __init__(self, running: Broker, below: str = "#") -> None:
        self.messages: list[tuple[str, bytes, dict[str, str]]] = []
        self._subscribed = threading.Event()
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"subscriber-{below}", protocol=mqtt.MQTTv5
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        options = SubscribeOptions(qos=1)
        self._client.on_connect = lambda client, *_: client.subscribe([(below, options)])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        about: Any = Properties(PacketTypes.CONNECT)
        about.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", running.port, clean_start=False, properties=about)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def bodies(self) -> list[dict[str, Any]]:
        """The verdicts so far."""
        return [json.loads(body) for topic, body, _ in list(self.messages) if topic.endswith("/verdict")]

    def statuses(self) -> list[str]:
        return [json.loads(body)["state"] for topic, body, _ in list(self.messages) if topic.endswith("/status")]

    def rows(self) -> list[dict[str, Any]]:
        """All verdicts that the broker had taken when this was called."""
        self._client.publish("end", b"", qos=1)
        for _ in range(1000):
            if any(topic == "end" for topic, _, _ in self.messages):
                break
            time.sleep(0.01)
        return self.bodies()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        about = {"ContentType": getattr(message.properties, "ContentType", "")}
        about |= dict(getattr(message.properties, "UserProperty", []))
        self.messages.append((message.topic, bytes(message.payload), about))
