"""Requests to a running service: what its description says, what it does not, and damaged bytes on a connection.

Each must be answered with a status and a body that the description names, or refused with a sentence, in time and
within memory: schemathesis makes requests of the description and compares the answers with it.
"""

from __future__ import annotations

import base64
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.fuzzing.kinds import KINDS, small_model
from benchmarks.fuzzing.mutations import damaged, mutated_json

if TYPE_CHECKING:
    from schemathesis import Case
    from schemathesis.schemas import APIOperation

__all__ = ["spoken", "try_requests"]

# Of all requests; the rest is of the description.
_DAMAGED = 0.2
# Operations that nothing can be varied of, beside their key.
_PLAIN = 20
# 503 is an answer: busy, or a model that cannot be read. All others of its kind are failures.
_BUSY = 503
_HEAD = "{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {secret}\r\nConnection: close\r\n{more}\r\n"


def try_requests(count: int, seed: int, most_seconds: float, most_bytes: int) -> Iterator[tuple[str, str, bytes]]:
    """Ask a service of a small model.

    Args:
        count: Requests.
        seed: Of their choice.
        most_seconds: That an answer may take.
        most_bytes: That the service may take beside what it has at rest.

    Yields:
        What became of each request, why, and the request.
    """
    with tempfile.TemporaryDirectory(prefix="differnet-fuzzing-") as folder, _Service(Path(folder)) as service:
        service.inspect_some()
        rest = service.most_memory()
        yield from _described(service, round(count * (1 - _DAMAGED)), seed, most_seconds)
        whole = _whole(service)
        for number in range(count - round(count * (1 - _DAMAGED))):
            yield spoken(service.port, whole, random.Random(f"{seed} {number}"), most_seconds)  # noqa: S311
        grown = service.most_memory() - rest
        if grown > most_bytes:
            yield "memory", f"{grown >> 20} MB", b""
        yield from (("traceback", line, b"") for line in service.failures())


class _Service:
    """A service with a key, a model, a file that is none, and some inspections."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, folder / "log"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.known: dict[str, list[str]] = {"name": ["plates", "plates", "plates", "broken"]}
        self.secret = ""

    def __enter__(self) -> _Service:
        from differnet.server.storage.database import Database  # noqa: PLC0415
        from differnet.server.storage.keyring import KeyRing  # noqa: PLC0415

        models, data = self._folder / "models", self._folder / "data"
        models.mkdir()
        (models / "plates.safetensors").write_bytes(small_model())
        (models / "plates.html").write_text("<p>report</p>")
        (models / "broken.safetensors").write_bytes(b"broken")
        database = Database.in_folder(data)
        self.secret = KeyRing(database).create("fuzzing", "admin")[1]
        database.close()
        command = [sys.executable, "-m", "differnet", "serve", str(models), "--data", str(data)]
        command += ["--port", str(self.port), "--log-level", "warning"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(60)

    def ask(self, path: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - JSON
        """The JSON of an answer, None if there is none."""
        import requests  # noqa: PLC0415 - schemathesis has it

        try:
            method = "GET" if body is None else "POST"
            url, key = f"http://127.0.0.1:{self.port}{path}", {"X-API-Key": self.secret}
            answer = requests.request(method, url, data=body, headers=key, timeout=60)
        except requests.ConnectionError:
            return None
        return answer.json() if answer.ok else None

    def inspect_some(self) -> None:
        """Wait until images are inspected, and have some."""
        while self.ask("/readyz") is None:
            if self._process.poll() is not None:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.1)
        found = [self.ask("/v1/models/plates/inspect", _image()) for _ in range(3)]
        self.known["identity"] = [each["inspections"][0]["id"] for each in found]
        for identity in self.known["identity"]:
            self.ask(f"/v1/inspections/{identity}/explanation")

    def most_memory(self) -> int:
        """Bytes that the process had in memory at most."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def failures(self) -> list[str]:
        """What the log tells of requests that failed, and whether the service has ended."""
        lines = [line for line in self._log.read_text().splitlines() if "traceback" in line.lower()]
        ended = [] if self._process.poll() is None else [f"the service ended with {self._process.returncode}"]
        return [line[-2000:] for line in lines] + ended


def _image() -> bytes:
    import io  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    buffer = io.BytesIO()
    Image.effect_noise((96, 96), 40).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def _described(service: _Service, count: int, seed: int, most_seconds: float) -> Iterator[tuple[str, str, bytes]]:
    """Requests that schemathesis makes of the description, right ones and wrong ones."""
    import schemathesis  # noqa: PLC0415 - of an extra of its own

    schema = schemathesis.openapi.from_url(
        f"http://127.0.0.1:{service.port}/openapi.json", headers={"X-API-Key": service.secret}
    )
    operations = [found.ok() for found in schema.exclude(path="/v1/events").get_all_operations()]
    varied = [each for each in operations if each.path_parameters or each.query or each.body]
    plain = [each for each in operations if each not in varied]
    for operation in plain:
        yield from _requests(service, operation, min(_PLAIN, count // len(operations)), seed, most_seconds)
    rest = max(0, count - len(plain) * min(_PLAIN, count // len(operations)))
    for number, operation in enumerate(varied):
        share = rest * (number + 1) // len(varied) - rest * number // len(varied)
        yield from _requests(service, operation, share, seed, most_seconds)


def _requests(
    service: _Service,
    operation: APIOperation,
    count: int,
    seed: int,
    most_seconds: float,
) -> list[tuple[str, str, bytes]]:
    import hypothesis  # noqa: PLC0415
    from hypothesis import strategies  # noqa: PLC0415
    from schemathesis import GenerationMode  # noqa: PLC0415

    found: list[tuple[str, str, bytes]] = []
    wrong = strategies.nothing()
    if operation.path_parameters or operation.query or operation.body:
        wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=max(1, count),
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=[*hypothesis.HealthCheck],
    )
    @hypothesis.given(case=right | wrong, chance=strategies.integers(0, 2**32))
    def ask(case: Case, chance: int) -> None:
        found.append(_asked(service, case, random.Random(chance), most_seconds))  # noqa: S311

    if count:
        ask()
    return found


def _asked(service: _Service, case: Case, chance: random.Random, most_seconds: float) -> tuple[str, str, bytes]:
    """Ask, mostly for something that there is, and compare the answer with the description."""
    import requests  # noqa: PLC0415
    from schemathesis.core.failures import FailureGroup  # noqa: PLC0415

    for name, values in service.known.items():
        if name in case.path_parameters and chance.random() < 0.7:
            case.path_parameters[name] = chance.choice(values)
    _mean(case, chance)
    with_key = chance.random() < 0.95
    headers = {"X-API-Key": service.secret} if with_key else {}
    where = f"{case.method} {case.path}"
    try:
        answer = case.call(headers=headers, timeout=most_seconds)
    except requests.Timeout:
        return "hung", where, _shown(case)
    except (requests.RequestException, UnicodeError) as error:
        return "no answer", f"{where}: {type(error).__name__} {str(error)[:100]}", _shown(case)
    if answer.status_code >= 500 and answer.status_code != _BUSY:
        return "failed", f"{where}: {answer.status_code} {answer.text[:100]}", _shown(case)
    if not with_key and "security" in case.operation.definition.raw and answer.status_code not in (400, 401):
        return "let in", f"{where}: {answer.status_code}", _shown(case)
    try:
        case.validate_response(answer, checks=_checks())
    except FailureGroup as group:
        reason = "; ".join(f"{type(each).__name__} {each.message[:100]!r}" for each in group.exceptions)
        return "not as described", f"{where}: {answer.status_code} {reason}", _shown(case)
    return ("read" if answer.status_code < 400 else "refused"), "", b""


def _checks() -> list[Any]:
    from schemathesis.specs.openapi import checks  # noqa: PLC0415

    return [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]


def _mean(case: Case, chance: random.Random) -> None:
    """Put a body in place that gets further than one of a description does."""
    if chance.random() < 0.3 or case.method != "POST":
        return
    image = _image() if chance.random() < 0.5 else KINDS["image"].mutate(chance)
    if case.path.endswith("/infer"):
        encoded = base64.b64encode(image).decode()
        tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [encoded]}
        infer = {"id": "1", "inputs": [tensor], "outputs": [{"name": "score"}]}
        case.media_type, case.body = "application/json", json.dumps(mutated_json(infer, chance)).encode()
    elif case.path.endswith("/inspect"):
        case.body = {"images": [image, _image()]} if case.media_type == "multipart/form-data" else image
    else:
        review = {"review": "good", "note": "dust"}
        calibration = {"false_reject_rate": 0.1, "review_rate": 0.2, "dry_run": False, "include_training": True}
        body = review if case.path.endswith("/review") else calibration
        case.body = json.dumps(mutated_json(body, chance)).encode()


def _shown(case: Case) -> bytes:
    return case.as_curl_command().encode("utf-8", "replace")


def spoken(port: int, whole: list[bytes], chance: random.Random, most_seconds: float) -> tuple[str, str, bytes]:
    """What becomes of one of some requests, damaged, on a connection of its own."""
    content = damaged(chance.choice(whole), chance)
    answer = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=most_seconds) as connection:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                answer += more
    except TimeoutError:
        return "hung", "damaged bytes", content
    except ConnectionError:
        return "refused", "", b""
    if not answer:
        return "refused", "", b""
    version, _, rest = answer.partition(b" ")
    status = int(rest[:3]) if version == b"HTTP/1.1" and rest[:3].isdigit() else 0
    if status == 0 or (status >= 500 and status != _BUSY):
        return "failed", f"damaged bytes: {answer[:100]!r}", content
    return ("read" if status < 400 else "refused"), "", b""


def _whole(service: _Service) -> list[bytes]:
    """Requests before they are damaged."""
    image = _image()
    infer = json.dumps({"inputs": [{"name": "x", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}]}).encode()
    parts = b'--x\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n%s\r\n--x--\r\n' % image
    review = f"/v1/inspections/{service.known['identity'][0]}/review"
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(image), image)
    made = (
        ("GET", "/v1/inspections?limit=5&since=2026-01-01T00:00:00Z", "", b""),
        ("GET", "/v1/events", "Accept: text/event-stream", b""),
        ("POST", review, "Content-Type: application/json", b'{"review": "good"}'),
        ("POST", "/v1/models/plates/inspect?filename=a.png", "Content-Type: image/png", image),
        ("POST", "/v1/models/plates/inspect", "Content-Type: multipart/form-data; boundary=x", parts),
        ("POST", "/v1/models/plates/inspect", "Transfer-Encoding: chunked", chunked),
        ("POST", "/v2/models/plates/infer", "Content-Type: application/json", infer),
    )
    return [_request(service, *each) for each in made]


def _request(service: _Service, method: str, path: str, header: str, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}" if body and "chunked" not in header else ""
    more = "".join(f"{line}\r\n" for line in (header, length) if line)
    return _HEAD.format(method=method, path=path, secret=service.secret, more=more).encode() + body
