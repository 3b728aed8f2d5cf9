"""All processes of a server are found, orphaned ones too, and a paused one does nothing."""

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

# Counts in a file as fast as it can. Its parent ends at once.
COUNTING = "import sys\nn = 0\nwhile True:\n    n += 1\n    open(sys.argv[1], 'w').write(str(n))\n"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_orphaned_process_is_found_paused_resumed_and_killed(tmp_path: Path) -> None:
    processes.become_subreaper()
    file, before = tmp_path / "count", processes.descendants()
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {COUNTING!r}, {str(file)!r}])"
    subprocess.run([sys.executable, "-c", parent], check=True)
    until(lambda: file.exists() and bool(file.read_text()))
    pids = processes.descendants() - before
    try:
        assert len(pids) == 1
        assert processes.memory(pids) > 1e6
        until(lambda: processes.cpu_seconds(pids)[processes.OTHER] > 0)
        assert not any(processes.cpu_seconds(pids)[component] for component in processes.COMPONENTS)
        processes.pause(pids)
        time.sleep(0.05)
        count_at_pause = file.read_text()
        time.sleep(0.1)
        assert file.read_text() == count_at_pause
        processes.resume(pids)
        until(lambda: file.read_text() not in (count_at_pause, ""))
    finally:
        processes.kill(pids)
    until(lambda: not processes.descendants() & pids)


def test_photos_are_sorted_into_classes_by_brightness(tmp_path: Path) -> None:
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
