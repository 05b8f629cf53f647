"""Products whose masks alone say which images are defective, as those of KolektorSDD and KolektorSDD2."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from differnet.errors import DatasetError
from differnet.images import GOOD, read_good_images, read_test_images


def add(root: Path, name: str, mask: str | None = None, *, defective: bool = False) -> Path:
    """An image, and a mask that is black, or has a white pixel."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).touch()
    if mask is not None:
        (root / mask).parent.mkdir(parents=True, exist_ok=True)
        drawn = Image.new("L", (20, 20))
        if defective:
            drawn.putpixel((3, 4), 255)
        drawn.save(root / mask)
    return root / name


def test_kolektor_sdd2(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for number in range(5):
            add(tmp_path, f"{split}/1000{number}.png", f"{split}/1000{number}_GT.png", defective=number == 3)
    found = read_good_images(tmp_path)
    assert found.paths == [tmp_path / f"train/1000{number}.png" for number in (0, 1, 2, 4)]
    assert "1 image(s) whose mask marks a defect and 5 mask(s)" in found.passed_over
    tested = read_test_images(tmp_path)
    assert [image.kind for image in tested] == ["defective", *[GOOD] * 4]
    assert tested[0].mask == tmp_path / "test/10003_GT.png"


def test_of_kolektor_sdd_whole_folders_are_kept_for_testing(tmp_path: Path) -> None:
    for item in range(1, 11):
        for part in range(5):
            stem = f"kos{item:02d}/Part{part}"
            add(tmp_path, f"{stem}.jpg", f"{stem}_label.bmp", defective=part == 4)
    learnt, tested = read_good_images(tmp_path), read_test_images(tmp_path)
    good = [image for image in tested if not image.is_defective]
    assert (len(learnt.paths), len(good), len(tested) - len(good)) == (32, 8, 10)
    assert not {path.parent for path in learnt.paths} & {image.path.parent for image in good}


def test_of_dagm_masks_lie_in_a_folder_of_their_own_in_that_of_the_images(tmp_path: Path) -> None:
    for split in ("Train", "Test"):
        for number in range(5):
            mask = f"{split}/Label/000{number}_label.PNG" if number == 3 else None
            add(tmp_path, f"{split}/000{number}.PNG", mask, defective=True)
    found = read_good_images(tmp_path)
    assert found.paths == [tmp_path / f"Train/000{number}.PNG" for number in (0, 1, 2, 4)]
    assert "1 image(s) whose mask marks a defect and 1 mask(s)" in found.passed_over
    tested = read_test_images(tmp_path)
    assert [image.kind for image in tested] == ["defective", *[GOOD] * 4]
    assert tested[0].mask == tmp_path / "Test/Label/0003_label.PNG"


@pytest.mark.parametrize("folders", [("images", "masks"), ("Bilder", "Masken"), ("data/img", "data/gt")])
def test_masks_beside_the_only_folder_of_images_say_which_are_defective(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    images, masks = folders
    for number in range(20):
        add(tmp_path, f"{images}/{number:03}.png", f"{masks}/{number:03}.png" if number > 15 else None, defective=True)
    learnt, tested = read_good_images(tmp_path), read_test_images(tmp_path)
    assert max(path.name for path in learnt.paths) < "016.png"
    assert [image.path.name for image in tested if image.is_defective] == ["016.png", "017.png", "018.png", "019.png"]
    assert all(image.mask is not None for image in tested if image.is_defective)


def test_masks_of_images_that_are_not_there_explain_nothing(tmp_path: Path) -> None:
    for number in range(4):
        add(tmp_path, f"images/{number}.png")
    add(tmp_path, "images/4.png", "masks/4.png", defective=True)
    add(tmp_path, "elsewhere.txt", "masks/9.png", defective=True)
    with pytest.raises(DatasetError, match="--good"):
        read_good_images(tmp_path)


def test_an_image_without_a_mask_is_good_beside_others_with_one(tmp_path: Path) -> None:
    add(tmp_path, "a.png")
    add(tmp_path, "b.png")
    add(tmp_path, "c.png", "c_mask.png", defective=True)
    assert {path.name for path in read_good_images(tmp_path).paths} < {"a.png", "b.png"}
    assert [image.kind for image in read_test_images(tmp_path)] == ["defective", GOOD]


def test_a_lost_mask_is_said_since_it_is_the_label(tmp_path: Path) -> None:
    add(tmp_path, "a.png", "a_GT.png")
    (tmp_path / "a_GT.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"a_GT\.png.*says whether"):
        read_good_images(tmp_path)


def test_where_all_masks_mark_a_defect_nothing_is_learnt(tmp_path: Path) -> None:
    add(tmp_path, "a.png", "a_GT.png", defective=True)
    with pytest.raises(DatasetError, match="every image has a mask that marks a defect"):
        read_good_images(tmp_path)


@pytest.mark.parametrize("mask", [".png", ".bmp"])
def test_masks_may_have_the_very_name_of_their_image(tmp_path: Path, mask: str) -> None:
    # Magnetic tiles: MT_Free/Imgs/exp1.jpg and exp1.png.
    for kind in ("MT_Free", "MT_Crack"):
        for number in range(4):
            stem = f"{kind}/Imgs/exp{number}"
            add(tmp_path, f"{stem}.jpg", f"{stem}{mask}", defective=kind == "MT_Crack")
    assert {path.parent.parent.name for path in read_good_images(tmp_path).paths} == {"MT_Free"}
    tested = read_test_images(tmp_path)
    assert {image.mask for image in tested if image.is_defective} == {
        tmp_path / f"MT_Crack/Imgs/exp{number}{mask}" for number in range(4)
    }


def test_beside_named_folders_too(tmp_path: Path) -> None:
    # Real-IAD: OK/S0001/a.jpg, NG/BX/S0001/b.jpg and b.png.
    for number in range(25):
        add(tmp_path, f"OK/S{number}/a.jpg")
    for number in range(3):
        add(tmp_path, f"NG/BX/S{number}/b.jpg", f"NG/BX/S{number}/b.png", defective=True)
    defective = [image for image in read_test_images(tmp_path) if image.is_defective]
    assert [(image.path.name, image.mask is not None) for image in defective] == [("b.jpg", True)] * 3


def test_pictures_saved_in_two_formats_are_no_masks(tmp_path: Path) -> None:
    for number in range(3):
        add(tmp_path, f"{number}.jpg")
        Image.effect_noise((20, 20), 60).save(tmp_path / f"{number}.png")
    assert len(read_good_images(tmp_path).paths) == 6
