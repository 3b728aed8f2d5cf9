"""CIFAR-10 in its official python layout: what is read out of it, and which files are not believed."""

from __future__ import annotations

import io
import pickle
import shutil
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data import DataError, load
from training.data.arrays import Arrays
from training.data.builtin import cifar10

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
ROWS = 100


def batch(seed: int) -> dict[bytes, Any]:
    draw = np.random.default_rng(seed)
    return {
        b"batch_label": b"a batch",
        b"labels": [row % 10 for row in range(ROWS)],
        b"data": draw.integers(0, 256, (ROWS, 3072), dtype=np.uint8),
        b"filenames": [f"{CLASSES[row % 10]}_s_{row:06d}.png".encode() for row in range(ROWS)],
    }


def dump(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout with 100 images a batch; not to be changed."""
    folder = tmp_path_factory.mktemp("official") / "cifar-10-batches-py"
    folder.mkdir()
    for seed, name in enumerate((*cifar10.TRAIN, *cifar10.TEST)):
        dump(folder / name, batch(seed))
    dump(folder / "batches.meta", {b"label_names": [name.encode() for name in CLASSES], b"num_vis": 3072})
    (folder / "readme.html").write_text("more than is read")
    return folder


@pytest.fixture
def own(official: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(official, tmp_path / "own"))


def archive(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        tar.add(folder, "cifar-10-batches-py")
    return path


def test_the_test_batch_is_the_test_split_and_a_tenth_of_the_others_calibrates(official: Path) -> None:
    dataset, data_warnings = load(str(official))
    assert (dataset.name, list(dataset.classes), dataset.license, data_warnings) == (
        "cifar10",
        CLASSES,
        "none stated",
        [],
    )
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [450, 50, 100]
    assert set(Counter(dataset.calibration.labels).values()) == {5}
    assert dataset.test.labels == batch(5)[b"labels"]
    assert dataset.test.name(17) == "test_batch:17 (horse_s_000017.png)"
    names = {*dataset.train.names, *dataset.calibration.names}
    assert names == {
        f"data_batch_{number}:{row} ({CLASSES[row % 10]}_s_{row:06d}.png)"
        for number in range(1, 6)
        for row in range(100)
    }


def test_a_row_is_a_red_a_green_and_a_blue_plane(official: Path) -> None:
    test = load(str(official))[0].test
    rows = batch(5)[b"data"]
    image = test.images[7]
    assert (image.shape, image.dtype) == ((32, 32, 3), np.uint8)
    assert np.array_equal(image[:, :, 0].ravel(), rows[7, :1024])
    assert np.array_equal(image[:, :, 2].ravel(), rows[7, 2048:])


def test_images_keep_their_labels_and_names(official: Path) -> None:
    train = load(str(official))[0].train
    for index in (0, 100, 449):
        place, _, _ = train.name(index).partition(" ")
        number, row = (int(part) for part in place.removeprefix("data_batch_").split(":"))
        original = batch(number - 1)
        assert train.labels[index] == original[b"labels"][row]
        assert np.array_equal(train.images[index].transpose(2, 0, 1).ravel(), original[b"data"][row])


def test_the_split_is_seeded_and_the_digest_is_of_the_images(official: Path, own: Path) -> None:
    dataset = load(str(official))[0]
    assert load(str(official))[0] == dataset
    other = load(str(official), seed=1)[0]
    assert other.calibration.names != dataset.calibration.names
    assert other.sha256 == dataset.sha256
    changed = batch(5)
    changed[b"data"][3, 3] ^= 1
    dump(own / "test_batch", changed)
    assert load(str(own))[0].sha256 != dataset.sha256


def test_the_folder_above_and_the_archive_give_the_same(official: Path, tmp_path: Path) -> None:
    dataset = load(str(official))
    assert load(str(official.parent)) == dataset
    packed = archive(official, tmp_path / "cifar-10-python.tar.gz")
    assert load(str(packed)) == dataset
    assert list(tmp_path.iterdir()) == [packed]


class Python2(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Text and bytes as BINSTRING, as the official files have them, and numpy under its name of those days."""

    def save_string(self, value: str | bytes) -> None:
        raw = value if isinstance(value, bytes) else value.encode()
        self.write(b"T" + len(raw).to_bytes(4, "little") + raw)

    dispatch = {**pickle._Pickler.dispatch, str: save_string, bytes: save_string}  # type: ignore[attr-defined]  # noqa: RUF012


def test_python_2_pickles_are_read(official: Path, own: Path) -> None:
    for name in cifar10.FILES:
        written = io.BytesIO()
        Python2(written, protocol=2).dump(pickle.loads((official / name).read_bytes()))
        (own / name).write_bytes(written.getvalue().replace(b"numpy._core.", b"numpy.core."))
    assert b"cnumpy.core.multiarray\n_reconstruct" in (own / "test_batch").read_bytes()
    assert load(str(own)) == load(str(official))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("open('/tmp/torchlight-was-here', 'w')",)


class Codec:
    def __reduce__(self) -> tuple[Any, ...]:
        import codecs

        return codecs.encode, ("text", "rot13")


def test_a_pickle_that_calls_anything_is_not_run(own: Path) -> None:
    dump(own / "data_batch_3", {b"labels": Evil()})
    with pytest.raises(DataError, match=r"the pickle calls (__builtin__|builtins)\.eval, .*do not trust this file"):
        load(str(own))
    dump(own / "data_batch_3", {b"labels": Codec()})
    with pytest.raises(DataError, match="encodes with 'rot13': only latin1"):
        load(str(own))


def test_files_that_are_missing_or_damaged_are_named(own: Path) -> None:
    whole = (own / "data_batch_2").read_bytes()
    (own / "data_batch_2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"data_batch_2 is cut short or corrupt \(.*\): fetch it again"):
        load(str(own))
    (own / "data_batch_2").write_bytes(b"")
    with pytest.raises(DataError, match="data_batch_2 is cut short or corrupt"):
        load(str(own))
    (own / "data_batch_2").unlink()
    (own / "batches.meta").unlink()
    with pytest.raises(
        DataError, match=r"own lacks batches\.meta, data_batch_2: unpack cifar-10-python\.tar\.gz again"
    ):
        load(str(own))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({b"data": np.zeros((ROWS, 3000), np.uint8)}, r"its data are uint8 \(100, 3000\): they must be uint8"),
        ({b"data": np.zeros((ROWS, 3072), np.float32)}, "its data are float32"),
        ({b"data": np.zeros((99, 3072), np.uint8)}, "99 images, but 100 labels and 100 names"),
        ({b"labels": [10] * ROWS}, "a label is 10: it must be from 0 to 9"),
        ({b"labels": [0.5] * ROWS}, "a label is 0.5"),
        ({b"labels": None}, "holds no list called labels: this is not a file of CIFAR-10"),
    ],
)
def test_shapes_and_labels_are_checked(own: Path, change: dict[bytes, object], reason: str) -> None:
    dump(own / "test_batch", batch(5) | change)
    with pytest.raises(DataError, match=f"test_batch.{{1,2}}{reason}"):
        load(str(own))


def test_names_of_classes_are_checked(own: Path) -> None:
    dump(own / "batches.meta", {b"label_names": [1, 2]})
    with pytest.raises(DataError, match=r"its label_names are \[1, 2\]"):
        load(str(own))
    dump(own / "batches.meta", ["airplane"])
    with pytest.raises(DataError, match="holds no list called label_names"):
        load(str(own))


def test_an_archive_of_something_else_or_half_of_one_is_refused(official: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tar.gz"
    with tarfile.open(other, "w:gz") as tar:
        tar.add(official / "readme.html", "../readme.html")
    with pytest.raises(DataError, match=r"other\.tar\.gz is not CIFAR-10 in its python layout"):
        load(str(other))
    whole = archive(official, tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "half.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"half\.tgz is cut short or corrupt .*: fetch it again"):
        load(str(tmp_path / "half.tgz"))
    (tmp_path / "none.tar.gz").write_text("no archive")
    with pytest.raises(DataError, match=r"none\.tar\.gz is cut short or corrupt"):
        load(str(tmp_path / "none.tar.gz"))


def test_a_link_in_an_archive_leads_nowhere(official: Path, tmp_path: Path) -> None:
    path = tmp_path / "link.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        member = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        member.type, member.linkname = tarfile.SYMTYPE, str(official / "test_batch")
        tar.addfile(member)
    with pytest.raises(DataError, match=r"link\.tar\.gz is cut short or corrupt"):
        load(str(path))


def test_cifar10_is_downloaded_once_and_unpacked_into_datasets(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(url: str, path: Path, checksum: str, size: int) -> None:
        asked.append((url, checksum, size))
        path.parent.mkdir(parents=True)
        archive(official, path)

    monkeypatch.setattr(cifar10, "fetch", fetch)
    monkeypatch.setenv("TORCHLIGHT_DATASETS", str(tmp_path / "sets"))
    dataset = load("cifar10")
    assert dataset == load(str(official))
    assert load("cifar10") == dataset
    assert asked == [
        (
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "md5:c58f30108f718f92721af3d95e74349a",
            170_498_071,
        )
    ]
    home = tmp_path / "sets" / "cifar10"
    assert {path.name for path in home.iterdir()} == {"cifar-10-batches-py", "cifar-10-python.tar.gz"}


def test_datasets_folder_is_in_the_working_directory(
    official: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TORCHLIGHT_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(official, Path("datasets") / "cifar10" / official.name)
    assert load("cifar10") == load(str(official))


def test_images_side_by_side_are_a_sequence() -> None:
    images = Arrays(np.arange(5 * 12, dtype=np.uint8).reshape(5, 2, 2, 3))
    assert len(images) == 5
    assert [image[0, 0, 0] for image in images] == [0, 12, 24, 36, 48]
    assert images[1:3] == Arrays(images.pixels[1:3])
    assert images[1:3] != images[2:4]
    assert np.shares_memory(images[1:3].pixels, images.pixels)
