"""`make tune` on a real server: it measures and writes settings, and a stopped run leaves no files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.artifacts import model_config
from tests.support.server import environment, run


@pytest.fixture
def place(workspace: Path, tmp_path: Path) -> Path:
    """A workspace of its own, which may be written to."""
    shutil.copytree(workspace / "releases", tmp_path / "releases")
    return tmp_path


def leftovers(folder: Path) -> list[str]:
    """Return the files in the TMPDIR of the commands, without torch's own cache."""
    return [path.name for path in (folder / "tmp").iterdir() if path.name.startswith("torchlight")]


def test_tune_measures_and_writes_settings_for_an_archive(place: Path) -> None:
    # No time for comparisons: the default is measured alone and against itself, by the same code.
    done = run(place, "scripts.tune", "--seconds", "0.3", "--minutes", "0.001", "--p99-ms", "60000")
    assert done.returncode == 0, done.stderr
    assert "the default settings stay" in done.stdout
    release = place / "releases" / "digits" / "1.0"
    config = model_config.load(release / model_config.FILE_NAME)
    assert config.batchSize == model_config.ModelConfig().batchSize
    assert config.handler is not None
    assert config.handler.threads
    kept = json.loads((release / "report" / "tuning.json").read_text(encoding="utf-8"))
    assert {point["clients"] for point in kept["points"]} >= {1, 4, 16, 64}
    assert all(point["errors"] == {} and point["requests_per_second"] > 0 for point in kept["points"])
    assert (release / "report" / "tuning.png").stat().st_size > 10_000
    assert leftovers(place) == []


def test_tune_rejects_settings_that_break_the_latency_budget(place: Path) -> None:
    done = run(place, "scripts.tune", "--seconds", "0.3", "--minutes", "0.6", "--p99-ms", "0.01")
    assert done.returncode == 1
    assert "error: no settings keep the p99 within 0.01 ms here" in done.stderr
    assert "x the best so far" in done.stdout, "others were tried"
    assert not (place / "releases" / "digits" / "1.0" / model_config.FILE_NAME).exists()
    assert leftovers(place) == []


def test_when_it_is_stopped_nothing_is_left(place: Path) -> None:
    # SIGTERM is handled like Ctrl-C, so one test covers both.
    with subprocess.Popen(
        [sys.executable, "-m", "scripts.tune", "--seconds", "30"],
        cwd=place,
        env=environment(place / "tmp"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        deadline = time.monotonic() + 90
        while not (found := list((place / "tmp").glob("torchlight-tune-*/run/*/status.json"))) or (
            json.loads(found[0].read_text(encoding="utf-8"))["state"] != "ready"
        ):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        server = json.loads(found[0].read_text(encoding="utf-8"))["pid"]
        time.sleep(1)
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    assert leftovers(place) == []
