"""A CSV file of paths and labels, with a header:

    path,label,split
    scans/1.png,healthy,train
    scans/2.png,ill,test

Paths are relative to the folder of the CSV file. The column `split` may be left out: then the splits are drawn, each
class in proportion and the same for the same seed. Semicolons and tabs are understood too, as spreadsheets write them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.printable import printable
from training.data import split
from training.data.dataset import DataError, Dataset
from training.data.labeled import build
from training.data.left_out import LeftOut
from training.data.listed import Listed
from training.data.split import SPLIT_SEED

NEEDED, OPTIONAL = ("path", "label"), "split"
DELIMITERS = ",;\t"


def load(table: Path, seed: int = SPLIT_SEED) -> tuple[Dataset, list[str]]:
    """Read a table; return the data set, and sentences about its problems (`labeled.build`).

    Raises:
        DataError: the table cannot be understood; or no image, a single class, too few images of one, or splits of
            different classes.
    """
    where, rows = printable(table), list(_rows(table))
    if not rows:
        raise DataError(f"{where} is empty: its first line must be path,label or path,label,split")
    header = [name.strip().lower() for name in rows[0][1]]
    wrong = [name for name in (*NEEDED, OPTIONAL) if header.count(name) != 1 and (name in NEEDED or name in header)]
    if wrong:
        raise DataError(
            f"{where}: its header is {','.join(rows[0][1])!r:.200}, with {header.count(wrong[0]) or 'no'} column "
            f"{wrong[0]}: its first line must be path,label or path,label,split"
        )
    unused = [name or "(no name)" for name in header if name not in (*NEEDED, OPTIONAL)]
    data_warnings = [f"columns that are not used: {', '.join(unused)}"] if unused else []
    left_out: list[LeftOut] = []
    listed: list[Listed] = []
    for line, cells in rows[1:]:
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        if len(cells) == len(header) and row["path"] and not row["label"]:
            left_out.append(LeftOut(table.parent / row["path"], "its label is empty"))
        elif len(cells) != len(header) or not row["path"]:
            reason = f"line {line}: {','.join(cells)!r:.200} is not a path and a label"
            left_out.append(LeftOut(table, reason))
        else:
            listed.append(Listed(row["path"], row["label"], row.get(OPTIONAL, "")))
    if not listed:
        raise DataError(f"{where} lists no image: each line below its header must be a path and a label")
    dataset, more = build(table, table.parent, _splits(table, listed), seed, left_out)
    return dataset, data_warnings + more


def _rows(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Return the lines that are not blank, with their numbers."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:  # Excel begins a CSV file with a byte order mark
            first = file.readline()
            file.seek(0)
            # strict: a quote that is never closed would take all lines after it for one cell.
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count), strict=True)
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
    except UnicodeDecodeError:
        raise DataError(f"{printable(table)} is not text in UTF-8: save it as 'CSV UTF-8'") from None
    except csv.Error as error:
        raise DataError(f"{printable(table)}: line {reader.line_num} is no CSV: {error}") from None


def _splits(table: Path, listed: Sequence[Listed]) -> list[Listed]:
    """Return the entries with standard split names; all in `train` if the table has no splits."""
    if not any(entry.split for entry in listed):
        return [Listed(entry.name, entry.label) for entry in listed]
    split_names = [name for names in split.NAMES.values() for name in names]
    entries = []
    for entry in listed:
        name = split.called(entry.split)
        if name is None:
            raise DataError(
                f"{printable(table)}: the split of {printable(entry.name)} is {entry.split!r}: it must be one of "
                f"{', '.join(split_names)}"
            )
        entries.append(Listed(entry.name, entry.label, name))
    if not any(entry.split == "train" for entry in entries):
        raise DataError(f"{printable(table)} has no image whose split is train: there is nothing to train on")
    return entries
