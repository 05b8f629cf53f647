"""What every layout keeps, and that a new one is one class and one registration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from differnet.errors import DatasetError, SettingsError
from differnet.images import GOOD, Collection, LabelledImage, collect_images, read_good_images, read_test_images
from differnet.images.layouts import LAYOUTS, Layout, Recognition, Sureness, find_layout

# Of those without a split one of three good images is kept for testing.
IMAGES = {
    "table": ("p/0.png", "p/1.png", "p/2.png", "p/3.png", "p/4.png"),
    "list file": ("a/0.png", "a/1.png"),
    "anomalib Folder": ("ok/0.png", "ok/1.png", "ok/2.png", "dent/0.png", "dent/1.png"),
    "VisA": tuple(f"parts/Data/Images/{name}.JPG" for name in ("Normal/0", "Normal/1", "Normal/2", "dent/0", "dent/1")),
    "masks beside images": ("a0.png", "a1.png", "a2.png", "b0.png", "b0_GT.png", "b1.png", "b1_GT.png"),
    "MVTec": ("train/good/0.png", "train/good/1.png", "test/good/0.png", "test/dent/0.png", "test/dent/1.png"),
    "good and defective folders": ("OK/0.png", "OK/1.png", "OK/2.png", "dent/0.png", "dent/1.png"),
    "plain folder": ("deeper/0.png", "deeper/1.png"),
}
TABLES = {
    "table": ("parts.csv", "path,label\np/0.png,ok\np/1.png,ok\np/2.png,ok\np/3.png,dent\np/4.png,dent\n"),
    "list file": ("good.txt", "a/0.png\na/1.png\n"),
    "anomalib Folder": ("config.yaml", "root: .\nnormal_dir: ok\nabnormal_dir: dent\n"),
    "VisA": (
        "split_csv/1cls.csv",
        "object,split,label,image,mask\n"
        + "".join(
            f"parts,{split},{label},parts/Data/Images/{name}.JPG,\n"
            for split, label, name in (
                ("train", "normal", "Normal/0"),
                ("train", "normal", "Normal/1"),
                ("test", "normal", "Normal/2"),
                ("test", "dent", "dent/0"),
                ("test", "dent", "dent/1"),
            )
        )
        + "others,train,normal,others/Data/Images/Normal/0.JPG,\n",
    ),
}
WITHOUT_TESTS = ("list file", "plain folder")


class SidesLayout(Layout):
    """``left`` has good parts, ``right`` those to test with, named ``ok_*`` or by their defect."""

    name = "sides"

    def recognises(self, root: Path) -> Recognition | None:
        if (root / "left").is_dir() and (root / "right").is_dir():
            return Recognition(Sureness.LIKELY, "has folders 'left' and 'right'")
        return None

    def good_images(self, root: Path) -> Collection:
        return collect_images(root / "left")

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        paths = collect_images(root / "right").paths
        kinds = [path.stem.split("_")[0].replace("ok", GOOD) for path in paths]
        found = [LabelledImage(path, kind) for kind, path in zip(kinds, paths, strict=True)]
        return tuple(sorted(found, key=lambda image: (image.kind, image.path)))


@pytest.fixture
def sides() -> Iterator[Layout]:
    layout = SidesLayout()
    LAYOUTS.register(layout)
    yield layout
    del LAYOUTS[layout.name]


def lay_out(root: Path, name: str) -> Path:
    """A product in a layout; returns what is given to a command."""
    files = IMAGES.get(name, ("left/0.png", "left/1.png", "right/ok_0.png", "right/dent_0.png", "right/dent_1.png"))
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), "white").save(root / file)
    if name not in TABLES:
        return root
    file, text = TABLES[name]
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(text)
    return root / "parts" if name == "VisA" else root / file


def test_the_shipped_layouts_are_all_tried_here() -> None:
    assert list(LAYOUTS) == list(IMAGES)


@pytest.mark.parametrize("name", [*IMAGES, "sides"])
@pytest.mark.usefixtures("sides")
def test_every_layout_keeps_the_contract(tmp_path: Path, name: str) -> None:
    root = lay_out(tmp_path, name)
    layout, recognition = find_layout(root)
    assert layout is LAYOUTS[name]
    assert recognition.reason
    good = read_good_images(root)
    assert good.paths == layout.good_images(root).paths
    assert len(good.paths) == len(set(good.paths)) == 2
    assert all(path.is_file() for path in good.paths)
    try:
        tested = read_test_images(root)
    except DatasetError as error:
        assert "has no folder 'test/good'" in str(error)  # a layout may have none
        assert name in WITHOUT_TESTS
        return
    assert tested == layout.test_images(root) == tuple(sorted(tested, key=lambda image: (image.kind, image.path)))
    kind = "defective" if name == "masks beside images" else "dent"
    assert [image.kind for image in tested] == [kind, kind, GOOD]
    assert not {image.path for image in tested} & set(good.paths)


@pytest.mark.parametrize("name", [*IMAGES, "sides"])
@pytest.mark.usefixtures("sides")
def test_what_is_missing_or_empty_is_recognised_without_an_error(tmp_path: Path, name: str) -> None:
    for root in (tmp_path / "missing", tmp_path):
        found = LAYOUTS[name].recognises(root)
        assert (found is None) == (name != "plain folder")


def test_a_name_is_given_once(sides: Layout) -> None:
    with pytest.raises(SettingsError, match="a layout 'sides' already"):
        LAYOUTS.register(sides)
