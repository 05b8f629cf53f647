"""A plant accepts its own models alone: signed ones, unchanged since."""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from differnet import DifferNet
from differnet.cli.main import app
from differnet.errors import ModelFileError, OutputError, SettingsError
from differnet.model_file.bundle import read_bundle, sign_bundle, write_bundle
from differnet.model_file.signing import SigningKey, TrustedKeys, make_key
from tests.conftest import plate


@pytest.fixture
def signed(model_file: Path, tmp_path: Path) -> Path:
    file = tmp_path / "signed.safetensors"
    shutil.copy(model_file, file)
    private, _ = make_key(tmp_path / "plant.key")
    sign_bundle(file, SigningKey(private))
    return file


def test_a_signed_model_is_the_same_model(signed: Path, model_file: Path, tmp_path: Path) -> None:
    trusted = TrustedKeys([tmp_path / "plant.key.pub"])
    image = plate(np.random.default_rng(1))
    expected = DifferNet.load(model_file, device="cpu").inspect(image)
    found = DifferNet.load(signed, device="cpu", trusted=trusted)
    assert found.inspect(image).score == expected.score
    assert found.manifest == read_bundle(model_file)[0] == read_bundle(signed)[0]


def test_other_models_are_refused(signed: Path, model_file: Path, tmp_path: Path) -> None:
    trusted = TrustedKeys([tmp_path / "plant.key.pub"])
    with pytest.raises(ModelFileError, match="not signed"):
        read_bundle(model_file, trusted)
    other = tmp_path / "other.safetensors"
    shutil.copy(model_file, other)
    sign_bundle(other, SigningKey(make_key(tmp_path / "other.key")[0]))
    with pytest.raises(ModelFileError, match="another key"):
        read_bundle(other, trusted)
    assert read_bundle(other, TrustedKeys([tmp_path / "plant.key.pub", tmp_path / "other.key.pub"]))
    # The signature of one on another, whose own digests are right.
    manifest, tensors = read_bundle(model_file)
    write_bundle(other, manifest, {**tensors, "calibration.peaks": tensors["calibration.peaks"] * 2})
    content, mark = signed.read_bytes(), b'"signature":"'
    signature = content[content.index(mark) :].split(b'"', 4)[3]
    sign_bundle(other, SigningKey(tmp_path / "other.key"))
    forged = other.read_bytes()
    theirs = forged[forged.index(mark) :].split(b'"', 4)[3]
    other.write_bytes(forged.replace(theirs, signature))
    with pytest.raises(ModelFileError, match="not valid"):
        read_bundle(other, trusted)


def test_calibrating_anew_takes_a_new_signature(signed: Path, tmp_path: Path) -> None:
    model = DifferNet.load(signed, device="cpu")
    model.calibrate(false_reject_rate=0.3)
    model.save(signed)
    with pytest.raises(ModelFileError, match="not signed"):
        read_bundle(signed, TrustedKeys([tmp_path / "plant.key.pub"]))


def test_keys_are_private_and_not_overwritten(tmp_path: Path) -> None:
    private, public = make_key(tmp_path / "a.key")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    with pytest.raises(OutputError, match="exists already"):
        make_key(tmp_path / "a.key")
    with pytest.raises(SettingsError, match="no private key"):
        SigningKey(public)
    with pytest.raises(SettingsError, match="no public key"):
        TrustedKeys([private])
    with pytest.raises(SettingsError, match="no such key file"):
        TrustedKeys([tmp_path / "none"])
    with pytest.raises(SettingsError, match="no trusted keys"):
        TrustedKeys([])


def test_the_command_makes_keys_and_signs(model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    shutil.copy(model_file, file)
    done = CliRunner().invoke(app, ["sign", str(file), "--new-key", str(tmp_path / "plant.key"), "--json"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["signed"], document["public_key"]) == ([str(file)], str(tmp_path / "plant.key.pub"))
    assert read_bundle(file, TrustedKeys([tmp_path / "plant.key.pub"]))
    assert CliRunner().invoke(app, ["sign"]).exit_code == 2
    assert CliRunner().invoke(app, ["sign", str(file)]).exit_code == 2
