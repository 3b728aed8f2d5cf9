"""All of a server's processes are found, also those that it let go, and a halted one does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.compare import processes
from benchmarks.compare.workload import sort_by_brightness

# Counts as fast as it can, in a file; its own parent ends at once.
COUNTING = "import sys\nn = 0\nwhile True:\n    n += 1\n    open(sys.argv[1], 'w').write(str(n))\n"


def until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_process_that_lost_its_parent_is_halted_goes_on_and_is_ended(tmp_path: Path) -> None:
    processes.adopt()
    file, before = tmp_path / "count", processes.descendants()
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {COUNTING!r}, {str(file)!r}])"
    subprocess.run([sys.executable, "-c", parent], check=True)
    until(lambda: file.exists() and bool(file.read_text()))
    found = processes.descendants() - before
    try:
        assert len(found) == 1
        assert processes.memory(found) > 1e6
        until(lambda: processes.processor_seconds(found)[processes.REST] > 0)
        assert not any(processes.processor_seconds(found)[part] for part in processes.PARTS)
        processes.halt(found)
        time.sleep(0.05)
        halted = file.read_text()
        time.sleep(0.1)
        assert file.read_text() == halted
        processes.go_on(found)
        until(lambda: file.read_text() not in (halted, ""))
    finally:
        processes.end(found)
    until(lambda: not processes.descendants() & found)


def test_photos_are_sorted_by_brightness_so_that_there_is_something_to_learn(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for gray in range(0, 250, 5):
        Image.new("RGB", (8, 8), (gray, gray, gray)).save(photos / f"{(gray * 7) % 250:03}.png")
    sort_by_brightness(photos, tmp_path / "sorted")
    assert [len(list(folder.iterdir())) for folder in sorted((tmp_path / "sorted").iterdir())] == [5] * 10
    darkest = {Image.open(path).getpixel((0, 0)) for path in (tmp_path / "sorted" / "tenth-0").iterdir()}
    assert darkest == {(gray, gray, gray) for gray in (0, 5, 10, 15, 20)}
    (photos / "000.png").unlink()
    with pytest.raises(ValueError, match="49 photos are too few"):
        sort_by_brightness(photos, tmp_path / "sorted")
