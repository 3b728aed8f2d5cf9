"""Every file of a folder is an image, or left out with the reason."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.training.data.test_folder import picture
from training.data.left_out import LeftOut, capped, listed, sentences
from training.data.listing import list_images
from training.data.order import natural

ROOT = Path(__file__).resolve().parents[4]
HEIC = "its format is HEIC, which is not read. Convert it with ImageMagick: magick photo.heic photo.jpg"
DICOM = (
    "its format is DICOM, which is not read. Convert it with DCMTK, and choose the window: "
    "dcmj2pnm --write-png --use-window 1 scan.dcm scan.png"
)


def reasons(folder: Path) -> dict[str, str]:
    return {str(item.path.relative_to(folder)): item.reason for item in list_images(folder).left_out}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.heic", b"\0\0\0\x18ftypheic", HEIC),
        ("photo", b"\0\0\0\x18ftypheic", HEIC),
        ("a.HEIC", b"\x01?", ".heic files are not read: convert them to JPEG, PNG or WebP"),
        ("a.dcm", b"\0" * 128 + b"DICM", DICOM),
        ("slice", b"\0" * 128 + b"DICM", DICOM),
        ("1.2.840", b"\0" * 128 + b"DICM", DICOM),
        ("a.dcm", b"\x01?", ".dcm files are not read: convert them to JPEG, PNG or WebP"),
        ("README", b"text", "its format is plain text, which is not read"),
        ("notes.txt", b"text", "its format is plain text, which is not read"),
        ("data", b"\x01?", "no image by its content"),
        ("data.bin", b"\x01?", "no image by its suffix, .bin, nor by its content"),
        ("a.png.bak", picture(1), "a PNG image with the suffix .bak: give it the suffix .png"),
        ("a.jpg ", b"\xff\xd8\xff", "a JPEG image with the suffix .jpg : give it the suffix .jpg"),
        ("a.png", b"", "the file is empty (0 bytes)"),
        (".hidden.png", b"x", "a hidden file"),
        (".DS_Store", b"x", "a hidden file"),
        ("Thumbs.db", b"x", "a system file"),
    ],
)
def test_file_that_is_no_image_is_left_out_with_its_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert list_images(tmp_path).images == ()
    assert reasons(tmp_path) == {name: reason}


def test_file_without_suffix_is_an_image_if_its_content_is(tmp_path: Path) -> None:
    for name in ("scan", "scan.0001", "1.2.840.113619", "a.JPG", "b.jfif"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0" if name == "b.jfif" else picture(1))
    assert sorted(list_images(tmp_path).images) == ["1.2.840.113619", "a.JPG", "b.jfif", "scan", "scan.0001"]
    assert list_images(tmp_path).left_out == ()


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data / "a" / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    for folder in (data / "a" / "deep", elsewhere):
        (folder / "1.png").write_bytes(picture(1))
    (data / "0link").symlink_to("a/deep")  # before the folder itself in any order by name
    (data / "more").symlink_to(elsewhere)
    (data / "more too").symlink_to(elsewhere)
    (data / "file.png").symlink_to(elsewhere / "1.png")
    assert list_images(data).images == ("a/deep/1.png", "file.png", "more/1.png")
    assert reasons(data) == {
        "0link": "the same folder as one that is read already",
        "more too": "the same folder as one that is read already",
    }


def test_links_that_lead_nowhere_or_back_are_said(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (data / "a" / "1.png").write_bytes(picture(1))
    (data / "a" / "up").symlink_to("..")
    (data / "a" / "out").symlink_to(tmp_path)
    (data / "self.png").symlink_to("self.png")
    (data / "gone.png").symlink_to("nothing.png")
    assert list_images(data).images == ("a/1.png",)
    assert reasons(data) == {
        "a/out": "a link to a folder that this one lies in",
        "a/up": "the same folder as one that is read already",
        "self.png": "a link that leads back to itself",
        "gone.png": "a link to something that does not exist",
    }


def test_pipes_and_sockets_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)  # the path of a socket may have 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
        assert set(reasons(tmp_path).values()) == {"no file, but a pipe, socket or device"}
        assert len(reasons(tmp_path)) == 2


def test_unreadable_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as another user, because root may read everything."""
    for name in ("shut", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(picture(1))
        (tmp_path / name / "README").write_text("text")
    (tmp_path / "open" / "README").chmod(0)
    (tmp_path / "shut").chmod(0o311)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # a folder above may be closed to others
    os.seteuid(65534)
    try:
        found = list_images(Path())
    finally:
        os.seteuid(0)
    assert found.images == ("open/1.png",)
    assert found.left_out == (
        LeftOut(Path("open/README"), "cannot be read: Permission denied"),
        LeftOut(Path("shut"), "the folder cannot be read: Permission denied"),
    )


def test_folders_deeper_than_pythons_stack_are_read(tmp_path: Path) -> None:
    before = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1_200):
            Path("d").mkdir()
            os.chdir("d")
        Path("1.png").write_bytes(picture(1))
    finally:
        os.chdir(before)
    try:
        assert list_images(tmp_path).images == ("d/" * 1_200 + "1.png",)
    finally:  # shutil, by which pytest removes old folders, ends in a RecursionError
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_output_folder_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for name in ("1.png", "out/overlay.png"):
        (tmp_path / name).write_bytes(picture(1))
    assert (list_images(tmp_path, tmp_path / "out").images, reasons(tmp_path)) == (("1.png",), {})


def test_order_is_total() -> None:
    names = ["1", "01", "001", "2", "10", "a1", "a01", "A1", "caf\udce9", "é", "e\u0301"]
    names.append("9" * 5_000)  # more digits than int() takes
    expected = sorted(names, key=natural)
    for turn in range(len(names)):
        assert sorted([*names[turn:], *names[:turn]], key=natural) == expected
    assert expected[1:6] == ["001", "01", "1", "2", "10"]


ORDER = """
import os, random, sys
from pathlib import Path

scandir = os.scandir

class Shuffled:
    def __init__(self, path):
        with scandir(path) as entries:
            self.entries = list(entries)
        random.shuffle(self.entries)
    def __enter__(self):
        return iter(self.entries)
    def __exit__(self, *_):
        pass

os.scandir = Shuffled
from training.data import load
dataset, _ = load(sys.argv[1])
print(dataset.classes, dataset.sha256, dataset.train.names, dataset.test.names)
"""


@pytest.mark.slow
def test_order_follows_neither_hash_seed_nor_file_system(tmp_path: Path) -> None:
    """In processes of their own, each with another hash seed and the folder's entries in another order."""
    for shade, label in enumerate(("1", "01", "001", "10", "2")):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(6):
            name = f"{'0' * (number % 3)}{number // 3}.png"
            (tmp_path / "data" / label / name).write_bytes(picture(10 * shade + number))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ORDER, tmp_path / "data"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    (output,) = {process.communicate()[0] for process in processes}
    assert output.startswith("('001', '01', '1', '2', '10') ")


def test_skipped_files_are_counted_by_folder_and_reason() -> None:
    left_out = [LeftOut(Path(f"pets/cat/{number}.heic"), "not read") for number in range(123)]
    left_out += [LeftOut(Path("pets/dog/a\nb\udce9.png"), "damaged")]
    assert sentences(left_out, 1_000) == [
        "left out: 124 in all, beside 1,000 images that are used",
        "left out: 123 in pets/cat (0.heic, 1.heic, 2.heic, 3.heic, 4.heic and 118 more): not read",
        r"left out: pets/dog/a\nb\xe9.png: damaged",
    ]
    assert sentences([], 1_000) == []


def test_lists_are_capped() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert capped(["x"] * 20) == ["x"] * 20
    assert capped(["x"] * 1_021, ", which the report has") == [
        *["x"] * 20,
        "and 1,001 more warnings like these, which the report has",
    ]
