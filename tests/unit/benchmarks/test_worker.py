from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.worker import __main__ as benchmark
from models.release import Release

pytestmark = pytest.mark.slow


def test_steps_add_up_to_the_total(release: Release) -> None:
    with benchmark.Handler(benchmark.REPOSITORY, release.folder) as handler:
        assert handler.engine == "eager"
        microseconds = handler.measure(8)
    assert min(microseconds.values()) > 0
    assert microseconds["decode"] + microseconds["engine"] + microseconds["everything else"] == pytest.approx(
        microseconds["total"]
    )


def test_steps_are_measured_for_each_size_and_revision_and_no_process_remains(release: Release) -> None:
    with benchmark.Handler(benchmark.REPOSITORY, release.folder) as here:
        table = benchmark.measure_steps({"here": here, "again": here}, rounds=1)
    assert [line.split("|")[2].strip() for line in table.splitlines()[2:]] == ["here", "again"] * len(benchmark.SIZES)
    assert here._process.returncode is not None


def test_handler_that_cannot_be_loaded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the handler ended"):
        benchmark.Handler(benchmark.REPOSITORY, tmp_path)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # TorchServe leaves some open
def test_own_protocol_costs_less_than_that_of_torchserve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TS_DECODE_INPUT_REQUEST", "false")  # a Loop sets it for the whole process
    rows = [line.strip("| ").split(" | ") for line in benchmark.measure_messages(rounds=1).splitlines()[2:]]
    assert [int(row[0]) for row in rows] == list(benchmark.SIZES)
    # About 4 x on idle cores, which other programs may use.
    assert min(float(row[-1]) for row in rows) > 1.5


def commit(repository: Path) -> None:
    """Commit all files of a folder as the first commit of a new repository there."""
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *author, *command], cwd=repository, check=True)


def test_revision_is_extracted_without_changing_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for package in ("handlers", "models", "training"):
        (repository / package).mkdir(parents=True)
        (repository / package / "torchserve_handler.py").write_text("then")
    commit(repository)
    (repository / "handlers" / "torchserve_handler.py").write_text("today")
    monkeypatch.setattr(benchmark, "REPOSITORY", repository)
    tree = benchmark._extract("HEAD", elsewhere)
    assert (tree / "handlers" / "torchserve_handler.py").read_text() == "then"
    assert sorted(path.name for path in tree.iterdir()) == ["handlers", "models"]
    assert (repository / "handlers" / "torchserve_handler.py").read_text() == "today"


def test_unknown_revision_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no revision 'nowhere'"):
        benchmark._extract("nowhere", tmp_path)
