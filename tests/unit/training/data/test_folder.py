"""A folder of one's own images: how it is split, what is said about it, and what cannot be trained on."""

from __future__ import annotations

import io
import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import DataError, split
from training.data.files import Files
from training.data.folder import load


def picture(seed: int, shade: int = 100) -> bytes:
    """A small picture like no other."""
    noise = np.random.default_rng(seed).integers(0, 60, (12, 12, 3)) + shade
    buffer = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def fill(root: Path, first: int = 0, **counts: int) -> Path:
    """A sub-folder for each class with so many pictures; `first` sets the seeds apart."""
    for shade, (label, count) in enumerate(counts.items()):
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number}.png").write_bytes(picture(1000 * (first + shade) + number, 40 * shade + 20))
    return root


def test_a_folder_without_splits_is_split_in_proportion_and_always_alike(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", cat=50, dog=30)
    dataset, data_warnings = load(root)
    assert (dataset.name, dataset.classes, data_warnings) == ("pets", ("cat", "dog"), [])
    splits = (dataset.train, dataset.calibration, dataset.test)
    assert [Counter(split.labels) for split in splits] == [{0: 30, 1: 18}, {0: 10, 1: 6}, {0: 10, 1: 6}]
    assert len({content for split in splits for content in split.images}) == 80
    again, _ = load(root)
    assert again == dataset
    assert load(root, seed=1)[0].test != dataset.test


def test_given_splits_are_kept(tmp_path: Path) -> None:
    fill(tmp_path / "pets" / "Train", 0, cat=20, dog=20)
    fill(tmp_path / "pets" / "test", 5, cat=3, dog=4)
    dataset, _ = load(tmp_path / "pets")
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [30, 10, 7]
    fill(tmp_path / "pets" / "valid", 9, cat=2, dog=2)
    dataset, _ = load(tmp_path / "pets")
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [40, 4, 7]
    shutil.rmtree(tmp_path / "pets" / "test")
    dataset, _ = load(tmp_path / "pets")
    assert dataset.classes == ("cat", "dog")
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [32, 4, 8]


def test_train_may_be_a_class_beside_others(tmp_path: Path) -> None:
    assert load(fill(tmp_path / "vehicles", train=9, ship=9))[0].classes == ("ship", "train")


def test_images_stay_on_disk_and_are_named_by_where_they_lie(tmp_path: Path) -> None:
    dataset, _ = load(fill(tmp_path / "pets", cat=10, dog=10))
    images = dataset.test.images
    assert isinstance(images, Files)
    assert sorted(dataset.test.names) == sorted(
        f"{'cat' if label == 0 else 'dog'}/{Path(name).name}"
        for name, label in zip(dataset.test.names, dataset.test.labels, strict=True)
    )
    assert images[0] == (tmp_path / "pets" / dataset.test.name(0)).read_bytes()
    assert list(images[1:3]) == [images[1], images[2]]
    assert len(pickle.dumps(dataset.train)) < 1000


def test_classes_are_in_the_order_that_people_count_in(tmp_path: Path) -> None:
    root = fill(tmp_path / "n", **{"10": 5, "2": 5, "1": 5})
    assert load(root)[0].classes == ("1", "2", "10")


def test_bad_images_are_skipped_with_the_reason(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", cat=20, dog=20)
    (root / "cat" / "broken.jpg").write_bytes(picture(0)[:80])
    (root / "cat" / "notes.txt").write_text("no image, and not called one")
    shutil.copy(root / "cat" / "0.png", root / "cat" / "copy.png")
    shutil.copy(root / "cat" / "1.png", root / "dog" / "wrong.png")
    dataset, data_warnings = load(root)
    assert sum(len(split) for split in (dataset.train, dataset.calibration, dataset.test)) == 39
    assert data_warnings[0] == "left out: 5 in all, beside 39 images that are used"
    assert "broken.jpg: the PNG image is cut short" in data_warnings[1]
    assert "copy.png: the same image as" in data_warnings[2] + data_warnings[3]
    assert sum("the same image is labeled cat and dog" in finding for finding in data_warnings) == 2
    assert data_warnings[5] == f"left out: {root}/cat/notes.txt: its format is plain text, which is not read"


def test_unread_files_are_reported(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", cat=10, dog=10)
    for number in range(3):
        Image.new("RGB", (8, 8)).save(root / "cat" / f"{number}.bmp")
    (root / "plans").mkdir()
    (root / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    dataset, data_warnings = load(root)
    assert dataset.classes == ("cat", "dog")
    assert data_warnings == [
        "left out: 5 in all, beside 20 images that are used",
        f"left out: 3 in {root}/cat (0.bmp, 1.bmp, 2.bmp): its format is BMP, which is not read. Convert it with "
        "ImageMagick: magick 'image.bmp[0]' image.png",
        f"left out: {root}/cat/gone.png: a link to something that does not exist",
        f"left out: {root}/plans: no image in it, so it is no class",
    ]


def test_images_outside_of_any_class_are_said(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", cat=10, dog=10)
    (root / "cover.png").write_bytes(picture(5000))
    assert load(root)[1][1:] == [f"left out: {root}/cover.png: an image that is in no class's folder"]
    parted = tmp_path / "parted"
    fill(parted / "train", cat=10, dog=10)
    fill(parted / "test", 5, cat=10, dog=10)
    fill(parted / "more", 9, emu=10)
    (parted / "test" / "cover.png").write_bytes(picture(5000))
    dataset, data_warnings = load(parted)
    assert dataset.classes == ("cat", "dog")
    assert data_warnings[1:] == [
        f"left out: {parted}/more: it is none of the splits",
        f"left out: {parted}/test/cover.png: an image that is in no class's folder",
    ]


def test_files_of_other_programs_are_ignored(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", cat=10, dog=10)
    (root / "cat" / ".ipynb_checkpoints").mkdir()
    shutil.copy(root / "cat" / "0.png", root / "cat" / ".ipynb_checkpoints" / "0-checkpoint.png")
    (root / "dog" / "._0.png").write_bytes(b"a Mac's notes on 0.png")
    (root / ".cache").mkdir()
    (root / "dog" / "Thumbs.db").write_bytes(b"Windows' copies in small")
    (root / "dog" / "@eaDir").mkdir()
    shutil.copy(root / "dog" / "0.png", root / "dog" / "@eaDir" / "THUMB.png")
    dataset, data_warnings = load(root)
    assert len(dataset.train) + len(dataset.calibration) + len(dataset.test) == 20
    assert data_warnings == [
        "left out: 5 in all, beside 20 images that are used",
        f"left out: {root}/.cache: a hidden folder with 0 files",
        f"left out: {root}/cat/.ipynb_checkpoints: a hidden folder with 1 file",
        f"left out: {root}/dog/._0.png: a hidden file",
        f"left out: {root}/dog/@eaDir: a system folder with 1 file",
        f"left out: {root}/dog/Thumbs.db: a system file",
    ]


def test_an_image_of_the_test_split_that_was_trained_on_is_not_tested(tmp_path: Path) -> None:
    fill(tmp_path / "pets" / "train", 0, cat=20, dog=20)
    fill(tmp_path / "pets" / "test", 5, cat=3, dog=3)
    shutil.copy(tmp_path / "pets" / "train" / "cat" / "7.png", tmp_path / "pets" / "test" / "cat" / "seven.png")
    dataset, data_warnings = load(tmp_path / "pets")
    assert len(dataset.test) == 6
    assert "seven.png: the same image as" in data_warnings[2]


def test_unequal_classes_are_said(tmp_path: Path) -> None:
    _, data_warnings = load(fill(tmp_path / "pets", cat=40, dog=10))
    assert data_warnings == [
        "the classes are of unequal size (cat 40, dog 10): accuracy alone will flatter the largest"
    ]


def test_the_digest_follows_images_labels_and_splits(tmp_path: Path) -> None:
    root = fill(tmp_path / "pets", cat=10, dog=10)
    before = load(root)[0].sha256
    (root / "cat" / "0.png").rename(root / "cat" / "zero.png")
    assert load(root, seed=1)[0].sha256 != before, "another split"
    (root / "dog" / "0.png").write_bytes(picture(77))
    assert load(root)[0].sha256 != before


def test_untrainable_folder_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no image: put \.jpg"):
        load(tmp_path / "empty")
    with pytest.raises(DataError, match="holds one class alone, 'cat'"):
        load(fill(tmp_path / "one", cat=9))
    with pytest.raises(DataError, match=r"too few images of dog \(4\): each class needs at least 5"):
        load(fill(tmp_path / "few", cat=9, dog=4))
    dead = fill(tmp_path / "dead", cat=9, dog=9)
    for path in (dead / "dog").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"too few images of dog \(0\)"):
        load(dead)
    for path in (dead / "cat").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"not one of its 18 images can be read; .*0\.png: the file's format is plain text"
    ):
        load(dead)
    fill(tmp_path / "hollow" / "train", cat=9, dog=9)
    (tmp_path / "hollow" / "test").mkdir()
    with pytest.raises(DataError, match="its split test has no image: fill the folder, or remove it"):
        load(tmp_path / "hollow")
    (tmp_path / "hollow" / "test").rmdir()
    (tmp_path / "hollow" / "val").mkdir()
    (tmp_path / "hollow" / "Valid").mkdir()
    with pytest.raises(DataError, match="Valid and val are folders of the same split: keep one"):
        load(tmp_path / "hollow")
    fill(tmp_path / "uneven" / "train", cat=9, dog=9)
    fill(tmp_path / "uneven" / "test", 5, cat=9)
    with pytest.raises(DataError, match="its split test has no image of dog"):
        load(tmp_path / "uneven")
    fill(tmp_path / "more" / "train", cat=9, dog=9)
    fill(tmp_path / "more" / "test", 5, cat=9, dog=9, emu=9)
    with pytest.raises(DataError, match="its split test has classes that train has not: emu"):
        load(tmp_path / "more")


def test_every_split_has_a_name_of_its_own() -> None:
    names = [name for names in split.NAMES.values() for name in names]
    assert len(names) == len(set(names))
