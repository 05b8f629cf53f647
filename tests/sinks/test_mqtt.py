"""Verdicts published to a real broker: in which form, by whom, and what happens when it is gone."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from differnet.errors import MissingExtraError, OutputError, SettingsError
from differnet.images.failure import Failure
from differnet.inspection.verdict import Verdict
from differnet.sinks import Delivery, MqttSink, open_sink
from differnet.watching import Journal, Photograph, Recorder, Sender, Stamp
from tests.sinks.broker import MOSQUITTO, Broker, Subscriber, broker
from tests.sinks.test_contract import FAILURE, RAW, VERDICT

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "verdict.schema.json").read_text())


def record(recorder: Recorder, number: int, result: Verdict | Failure) -> None:
    recorder.record(Photograph(f"{number}.png", Stamp(1, number, 3, 4), "abc", b""), result, "model")


def sender(running: Broker, journal: Journal, told: list[str]) -> Sender:
    sink = MqttSink(f"mqtt://127.0.0.1:{running.port}/plant/line%201", timeout=2.0)
    made = Sender(sink, journal, "mqtt", say=told.append, warn=told.append, first_wait=0.05)
    made.start()
    return made


def test_broker_killed_for_a_while_nothing_lost_nothing_out_of_order(tmp_path: Path) -> None:
    told: list[str] = []
    with broker(tmp_path) as running, Subscriber(running) as subscriber, Journal(tmp_path / "journal") as journal:
        first = sender(running, journal, told)
        recorder = Recorder(tmp_path, journal, [], {"mqtt": first.wake})
        for number in range(40):
            record(recorder, number, (VERDICT, FAILURE, RAW)[number % 3])
            time.sleep(0.02)
            if number == 10:
                running.kill()
            if number == 25:  # a process that ends meanwhile
                first.close()
                first._sink.close()
        assert len(subscriber.bodies()) < 15
        running.start()
        second = sender(running, journal, told)
        second.drain(10.0)
        second.close()
        deadline = time.monotonic() + 10.0
        while {body["sequence"] for body in subscriber.bodies()} != set(range(1, 41)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second._sink.close()
        bodies = subscriber.bodies()
        verdicts = [about for topic, _, about in subscriber.messages if topic == "plant/line 1/verdict"]
    sequences = [body["sequence"] for body in bodies]
    assert sequences == sorted(sequences)
    assert [body["counts"]["failed"] for body in bodies if body["sequence"] == 40] == [13]
    assert len({about["key"] for about in verdicts}) == 40
    assert {about["ContentType"] for about in verdicts} == {"application/json"}
    assert sum("cannot take verdicts" in line for line in told) == 1
    for body in bodies[:3]:
        jsonschema.validate(body, SCHEMA, jsonschema.Draft202012Validator)
        assert set(body) == set(SCHEMA["properties"]) - {"id", "model"}


def test_status_is_online_then_offline_whether_the_end_was_meant_or_not(tmp_path: Path) -> None:
    with broker(tmp_path) as running:
        address = f"mqtt://127.0.0.1:{running.port}/line1"
        with open_sink(address) as sink:
            sink.write(VERDICT)
            with Subscriber(running, "line1/status") as subscriber:
                wait_for(subscriber, ["online"])
        with Subscriber(running, "line1/status") as subscriber:
            wait_for(subscriber, ["offline"])
        abrupt = MqttSink(address)
        assert abrupt.deliver(b"{}", "key").delivery is Delivery.ARRIVED
        assert abrupt._connection is not None
        client = abrupt._connection._client
        client.on_disconnect = None
        client.reconnect_delay_set(100, 100)
        connection: Any = client.socket()
        connection.shutdown(socket.SHUT_RDWR)  # as if the process had been killed
        with Subscriber(running, "line1/#") as subscriber:
            wait_for(subscriber, ["offline"])
        abrupt.close()


def wait_for(subscriber: Subscriber, states: list[str]) -> None:
    deadline = time.monotonic() + 5.0
    while subscriber.statuses()[-len(states) :] != states:
        assert time.monotonic() < deadline, subscriber.statuses()
        time.sleep(0.01)


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, secret = folder / f"{host}.pem", folder / f"{host}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    return cert, secret


def test_tls_and_a_password(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "localhost")
    passwords = tmp_path / "passwords"
    if MOSQUITTO is not None:
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "line", "secret"], check=True)
    lines = [f"certfile {cert}", f"keyfile {key}", f"password_file {passwords}"]
    with broker(tmp_path, lines) as running:

        def answer(address: str, password: str = "secret") -> tuple[Delivery, str]:
            sink = MqttSink(address, token=password, timeout=3.0)
            try:
                given = sink.deliver(b"{}", "key")
            finally:
                sink.close()
            return given.delivery, given.reason

        right = f"mqtts://line@localhost:{running.port}/a?ca={cert}"
        assert answer(right)[0] is Delivery.ARRIVED
        for address, password, reason in (
            (right, "wrong", "lets nobody in"),
            (right.partition("?")[0], "secret", "certificate verify failed"),
            (right.replace("@localhost", "@127.0.0.1"), "secret", "certificate verify failed"),
        ):
            delivery, said = answer(address, password)
            assert delivery is Delivery.FAILED
            assert reason in said


def test_a_broker_that_is_not_there_is_told_in_a_sentence() -> None:
    with open_sink("mqtt://127.0.0.1:9/secret", patience=0.1, first_wait=0.05) as sink:
        with pytest.raises(OutputError, match=r"MQTT: 127\.0\.0\.1 cannot take verdicts \(Connection refused\)"):
            sink.write(VERDICT)
        assert threading.active_count() < 20


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("mqtt://", "is none; give one such as mqtt://host:1883/line1"),
        ("mqtt://host:99999/", "is none"),
        ("mqtt://user:secret@host/", "no password; give it by DIFFERNET_MQTT_PASSWORD"),
        ("mqtt://host/a/+/b", r"with \+ or #"),
        ("mqtt://host/a#b", "write %23"),
        ("mqtt://host/a?qos=2", "no option 'qos'; there are ca"),
        ("mqtt://host/a?ca=ca.pem", "begin the MQTT address with mqtts"),
        ("mqtts://host/a?ca=/nowhere/ca.pem", "cannot be used"),
    ],
)
def test_addresses_that_are_none(address: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        MqttSink(address)
    assert "secret" not in str(error.value)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtraError, match=r"differnet\[mqtt\]"):
        MqttSink("mqtt://host")
