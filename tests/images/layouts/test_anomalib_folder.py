"""The arguments of anomalib's Folder as YAML: where they stand, lists and null, roots, masks, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.images import GOOD, read_good_images, read_test_images

ARGUMENTS = "{name: parts, root: data, normal_dir: ok, abnormal_dir: [crack, dent], mask_dir: [m/crack, m/dent]"
WRITTEN = {
    "data": f"data:\n  class_path: anomalib.data.Folder\n  init_args: {ARGUMENTS}, train_batch_size: 32}}\n",
    "alone": f"class_path: Folder\ninit_args: {ARGUMENTS}}}\n",
    "arguments": f"{ARGUMENTS}}}",
    "before version 1": f"dataset: {ARGUMENTS}, format: folder}}".replace("root", "path").replace("mask_dir", "mask"),
}


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """``data`` has 30 good parts, of three kinds of files, two kinds of defects and their masks."""
    names = [f"ok/{number:02}.{('png', 'png', 'JPG')[number % 3]}" for number in range(30)]
    names += ["later/0.png", "later/deeper/1.png", "crack/0.png", "crack/1.png", "dent/0.png"]
    names += ["m/crack/0.png", "m/dent/0.png"]
    for name in names:
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(name)
    return tmp_path / "data"


def configured(parts: Path, text: str) -> Path:
    file = parts.parent / "config.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("text", WRITTEN.values(), ids=WRITTEN)
def test_it_is_read_wherever_the_arguments_stand(parts: Path, text: str) -> None:
    file = configured(parts, text)
    found, tested = read_good_images(file), read_test_images(file)
    assert len(found.paths) == 24
    assert "6 of 30 good images, which are kept for 'differnet evaluate'" in found.passed_over
    good = [image.path for image in tested if image.kind == GOOD]
    assert sorted([*found.paths, *good]) == sorted((parts / "ok").iterdir())
    assert [(image.kind, image.path.name, image.mask) for image in tested if image.is_defective] == [
        ("crack", "0.png", parts / "m" / "crack" / "0.png"),
        ("crack", "1.png", None),
        ("dent", "0.png", parts / "m" / "dent" / "0.png"),
    ]


@pytest.mark.parametrize("root", ["data", "ABSOLUTE", "WORKING"])
def test_the_root_counts_from_the_file_or_the_working_folder(
    parts: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = configured(parts, "")
    if root == "WORKING":
        (parts.parent / "configs").mkdir()
        file, root = file.rename(parts.parent / "configs" / "config.yml"), "data"
        monkeypatch.chdir(parts.parent)
    file.write_text(f"root: {root.replace('ABSOLUTE', str(parts))}\nnormal_dir: ok\nabnormal_dir: null\n")
    assert len(read_good_images(file).paths) == 30
    with pytest.raises(DatasetError, match="names no 'abnormal_dir'"):
        read_test_images(file)


def test_what_is_named_otherwise_too_is_not_learnt(parts: Path) -> None:
    file = configured(
        parts,
        "root: data\nnormal_dir: [., ok]\nabnormal_dir: [crack, dent]\nnormal_test_dir: later\nmask_dir: m\n"
        "extensions: [.png, jpg]\n",
    )
    found = read_good_images(file)
    assert sorted(found.paths) == sorted((parts / "ok").iterdir())
    assert "another argument names" in found.passed_over
    assert [image.kind for image in read_test_images(file)] == ["crack", "crack", "dent", GOOD, GOOD]
    file.write_text(file.read_text().replace("[.png, jpg]", "'*.JPG'").replace("normal_test_dir: later\n", ""))
    assert {path.suffix for path in read_good_images(file).paths} == {".JPG"}
    with pytest.raises(DatasetError, match="no defective image to test with has one of its 'extensions'"):
        read_test_images(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no keys"),
        ("- a\n", "has no keys"),
        ("data: [\n", "line 2"),
        ("data: !!int x\n", "cannot be read"),
        ("images: parts\n", "give it by --recipe"),
        ("model: {class_path: anomalib.models.Padim}\n", "has no arguments of anomalib's Folder"),
        ("data: {class_path: anomalib.data.MVTecAD, init_args: {root: a, category: b}}\n", "MVTecAD"),
        ("data: {class_path: Folder, init_args: {root: data}}\n", "names no 'normal_dir'"),
        ("root: data\nnormal_dir: 3\n", "'normal_dir' is not a text or a list of texts"),
        ("root: [data, data2]\nnormal_dir: ok\n", "'root' is not one folder"),
        ("root: elsewhere\nnormal_dir: ok\n", "'root' names the folder 'elsewhere', which is not there"),
        ("root: data\nnormal_dir: good\n", "'normal_dir' names the folder 'good', which is not there"),
        (f"root: data\nnormal_dir: {'d' * 5000}\n", "is not there"),
        ('root: data\nnormal_dir: "a\\0b"\n', "is not there"),
        ("root: data\nnormal_dir: ok\nabnormal_dir: dent\nnormal_test_dir: ok\n", "holds no image of its own"),
        ("root: data\nnormal_dir: ok\nextensions: .bmp\n", "extensions that its files have"),
    ],
)
def test_what_is_wrong_is_said(parts: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError) as raised:
        read_good_images(configured(parts, text))
    assert "config.yaml" in str(raised.value)
    assert said in str(raised.value)
