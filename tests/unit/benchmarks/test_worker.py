from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.worker import __main__ as benchmark
from models.release import Release


def test_what_is_not_decoding_nor_the_network_is_what_is_left_of_the_total(release: Release) -> None:
    with benchmark.Handler(benchmark.REPOSITORY, release.folder) as handler:
        assert handler.engine == "eager"
        taken = handler.turn(8)
    assert min(taken.values()) > 0
    assert taken["decode"] + taken["engine"] + taken["everything else"] == pytest.approx(taken["total"])


def test_each_size_is_measured_of_each_tree_and_no_process_is_left(release: Release) -> None:
    with benchmark.Handler(benchmark.REPOSITORY, release.folder) as here:
        table = benchmark.measure_steps({"here": here, "again": here}, turns=1)
    assert [line.split("|")[2].strip() for line in table.splitlines()[2:]] == ["here", "again"] * len(benchmark.SIZES)
    assert here._process.returncode is not None


def test_a_handler_that_cannot_be_loaded_ends_the_measuring(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the handler ended"):
        benchmark.Handler(benchmark.REPOSITORY, tmp_path)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # TorchServe leaves some open
def test_the_short_protocol_costs_less_than_torchserves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TS_DECODE_INPUT_REQUEST", "false")  # which a Loop sets for good
    rows = [line.strip("| ").split(" | ") for line in benchmark.measure_messages(turns=1).splitlines()[2:]]
    assert [int(row[0]) for row in rows] == list(benchmark.SIZES)
    # Some 4 x on idle cores; others may use these.
    assert min(float(row[-1]) for row in rows) > 1.5


def commit(repository: Path) -> None:
    """Everything in a folder, as the first commit of a repository there."""
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *author, *command], cwd=repository, check=True)


def test_a_revision_lies_beside_the_files_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, elsewhere = tmp_path / "repository", tmp_path / "elsewhere"
    elsewhere.mkdir()
    for package in ("handlers", "models", "training"):
        (repository / package).mkdir(parents=True)
        (repository / package / "torchserve_handler.py").write_text("then")
    commit(repository)
    (repository / "handlers" / "torchserve_handler.py").write_text("today")
    monkeypatch.setattr(benchmark, "REPOSITORY", repository)
    tree = benchmark._checked_out("HEAD", elsewhere)
    assert (tree / "handlers" / "torchserve_handler.py").read_text() == "then"
    assert sorted(path.name for path in tree.iterdir()) == ["handlers", "models"]
    assert (repository / "handlers" / "torchserve_handler.py").read_text() == "today"


def test_a_revision_that_git_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no revision 'nowhere'"):
        benchmark._checked_out("nowhere", tmp_path)
