"""A CSV file of paths and labels: how it is read, what is said about it, and what cannot be trained on."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.unit.training.data.test_folder import picture
from training.data import DataError, folder
from training.data.table import load


def scans(root: Path, **counts: int) -> list[tuple[str, str]]:
    """Pictures below root/scans/; returns the path and label of each."""
    (root / "scans").mkdir()
    rows = [(f"scans/{label}-{number}.png", label) for label, count in counts.items() for number in range(count)]
    for seed, (path, _) in enumerate(rows):
        (root / path).write_bytes(picture(seed))
    return rows


def write(root: Path, header: str, *lines: str, encoding: str = "utf-8") -> Path:
    table = root / "scans.csv"
    table.write_text("\n".join((header, *lines)) + "\n", encoding=encoding)
    return table


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_paths_are_relative_to_the_table_and_splits_are_drawn(tmp_path: Path, delimiter: str, encoding: str) -> None:
    rows = [delimiter.join(row) for row in scans(tmp_path, ill=20, well=30)]
    dataset, data_warnings = load(write(tmp_path, f"Path{delimiter} label", *rows, "", encoding=encoding))
    assert (dataset.name, dataset.source, dataset.classes, data_warnings) == (
        "scans",
        "the table scans.csv",
        ("ill", "well"),
        [],
    )
    splits = (dataset.train, dataset.calibration, dataset.test)
    assert [Counter(split.labels) for split in splits] == [{0: 12, 1: 18}, {0: 4, 1: 6}, {0: 4, 1: 6}]
    assert dataset.test.images[0] == (tmp_path / dataset.test.name(0)).read_bytes()
    assert load(tmp_path / "scans.csv")[0] == dataset
    assert load(tmp_path / "scans.csv", seed=1)[0].test != dataset.test


def test_the_same_files_give_the_same_split_as_a_folder_of_them(tmp_path: Path) -> None:
    for label in ("ill", "well"):
        (tmp_path / "scans" / label).mkdir(parents=True)
    rows = [(f"scans/{label}/{number}.png", label) for label in ("ill", "well") for number in range(10)]
    for seed, (path, _) in enumerate(rows):
        (tmp_path / path).write_bytes(picture(seed))
    table, _ = load(write(tmp_path, "path,label", *(",".join(row) for row in rows)))
    assert table.sha256 == folder.load(tmp_path / "scans")[0].sha256


def test_given_splits_are_kept(tmp_path: Path) -> None:
    rows = scans(tmp_path, ill=10, well=10)
    named = ["Training" if number % 10 < 6 else "test" for number in range(20)]
    lines = [f"{path},{label},{name}" for (path, label), name in zip(rows, named, strict=True)]
    dataset, _ = load(write(tmp_path, "path,label,split", *lines))
    assert [len(split) for split in (dataset.train, dataset.calibration, dataset.test)] == [9, 3, 8]
    assert {Path(name).stem.split("-")[1] for name in dataset.test.names} == {"6", "7", "8", "9"}


def test_bad_lines_are_skipped_with_the_reason(tmp_path: Path) -> None:
    rows = [",".join((*row, "40")) for row in scans(tmp_path, ill=10, well=10)]
    (tmp_path / "scans" / "cut.png").write_bytes(picture(99)[:80])
    rows += ["scans/gone.png,ill,40", "scans/cut.png,ill,40", "scans/ill-1.png,ill,40", "scans/ill-2.png,well,40"]
    rows += [",ill,40", "scans/ill-3.png,ill"]
    dataset, data_warnings = load(write(tmp_path, "path,label,age", *rows))
    assert sum(len(split) for split in (dataset.train, dataset.calibration, dataset.test)) == 19
    wanted = [
        "columns that are not used: age",
        "left out: 7 in all, beside 19 images",
        "gone.png: there is no such file",
        "cut.png: the PNG image is cut short",
        "left out: 2 in .*scans .ill-2.png, ill-2.png.: the same image is labeled ill and well",
        "ill-1.png: the same image as .*ill-1.png",
        "scans.csv: line 26: ',ill,40' is not a path and a label",
        "scans.csv: line 27: 'scans/ill-3.png,ill' is not a path and a label",
    ]
    assert len(data_warnings) == len(wanted)
    for finding, pattern in zip(data_warnings, wanted, strict=True):
        assert re.search(pattern, finding), finding


def refused(root: Path, reason: str, header: str, *lines: str, encoding: str = "utf-8") -> None:
    with pytest.raises(DataError, match=reason):
        load(write(root, header, *lines, encoding=encoding))


def test_unreadable_table_is_refused_with_the_reason(tmp_path: Path) -> None:
    rows = [",".join(row) for row in scans(tmp_path, ill=5, well=5)]
    refused(tmp_path, r"scans\.csv is empty: its first line must be path,label", "")
    refused(tmp_path, r"its header is 'scans/ill-0.png,ill', with no column path: its first line must be path", *rows)
    refused(tmp_path, "with no column label", "path,class", *rows)
    refused(tmp_path, "with 2 column path", "path,label,path", *rows)
    refused(tmp_path, "lists no image: each line below its header", "path,label")
    refused(tmp_path, "line 2 is no CSV: unexpected end of data", "path,label", '"scans/ill-0.png,ill')
    refused(tmp_path, "is not text in UTF-8: save it as 'CSV UTF-8'", "path,label", *rows, encoding="utf-16")
    refused(
        tmp_path,
        "the split of scans/ill-0.png is 'trian': it must be one of train, training, val, .*testing",
        "path,label,split",
        f"{rows[0]},trian",
    )
    some = [f"{rows[0]},train", f"{rows[1]},"]
    refused(tmp_path, "the split of scans/ill-1.png is ''", "path,label,split", *some)
    refused(tmp_path, "no image whose split is train", "path,label,split", f"{rows[0]},test")


def test_untrainable_table_is_refused_like_a_folder(tmp_path: Path) -> None:
    rows = [",".join(row) for row in scans(tmp_path, ill=5, well=4)]
    refused(tmp_path, "holds one class alone, 'ill'", "path,label", *rows[:5])
    refused(tmp_path, r"too few images of well \(4\)", "path,label", *rows)
    refused(
        tmp_path, "not one of its 2 images can be read; left out: .*/a.png: there is no", "path,label", "a.png,1", "b,2"
    )
