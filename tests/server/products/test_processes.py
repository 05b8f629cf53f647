"""The service ends in the middle of a training, however it ends."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from tests.server.conftest import photo
from tests.server.processes import Service

JSON = {"Content-Type": "application/json"}


def post(service: Service, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    status, content, _ = service.request("POST", path, json.dumps(body).encode(), JSON)
    assert status == 200, content
    return json.loads(content)


def wait_for(service: Service, job: str, *states: str) -> Any:  # noqa: ANN401 - JSON
    end = time.monotonic() + 400
    while time.monotonic() < end:
        found = service.get(f"/v1/jobs/{job}")[1]
        if found["state"] in states:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_a_killed_service_goes_on_with_its_training(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(model_file, tmp_path / "models" / "plates.safetensors")
    with Service(tmp_path / "models", tmp_path / "data") as service:
        product = post(service, "/v1/products", {"name": "tiles"})["id"]
        post(service, f"/v1/products/{product}/choices", {"preset": "fast", "views": "none", "false_reject_rate": 0.2})
        for seed in range(6):
            service.request("POST", f"/v1/products/{product}/pictures", photo(seed), {"Content-Type": "image/png"})
        job = post(service, f"/v1/products/{product}/train", {})["id"]
        wait_for(service, job, "running")
        assert service.process is not None
        children: list[psutil.Process] = []
        while not children:
            children = psutil.Process(service.process.pid).children(recursive=True)
        assert service.inspect(photo(9))[0] == 200  # beside the training
        service.stop(signal.SIGKILL)
        assert not psutil.wait_procs(children, 20)[1], "its processes end with it"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["plates.safetensors"]
    with Service(tmp_path / "models", tmp_path / "data") as service:
        done = wait_for(service, job, "done", "failed", "cancelled")
        assert (done["state"], done["result"]) == ("done", {"version": 1}), done
        [version] = service.get(f"/v1/products/{product}")[1]["versions_list"]
        assert version["images"] == 6
        assert service.stop() == 0
