from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from serving.errors import Unreachable
from serving.proxy import routing, traffic_split
from serving.proxy.arm_counts import ArmCounts
from serving.proxy.traffic_split import Split, Sticky, TrafficSplits
from serving.runtime import atomic_files

VERSIONS = "digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\npets 3\npets/3 3\n"


@contextmanager
def fake_proxy(path: Path, answers: dict[str, str]) -> Iterator[list[str]]:
    """Answer each command by its first words; yield the commands."""
    commands: list[str] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                commands.append(connection.recv(4096).decode().strip())
                answer = next((text for start, text in answers.items() if commands[-1].startswith(start)), "")
                connection.sendall(answer.encode() + b"\n")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield commands
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    return tmp_path / traffic_split.FILE_NAME


@pytest.fixture
def splits(map_file: Path) -> TrafficSplits:
    return TrafficSplits(map_file, map_file.with_name("haproxy.sock"))


@pytest.mark.parametrize(
    ("split", "entry"),
    [
        (Split("2.0", 0.05), "digits 2.0:500:none:0\n"),
        (Split("2.0", 0.0), "digits 2.0:0:none:0\n"),
        (Split("2.0", 1.0, Sticky.HEADER, 0.08), "digits 2.0:10000:header:80000\n"),
        (Split("2.0", 0.29, Sticky.COOKIE, 1e-6), "digits 2.0:2900:cookie:1\n"),
    ],
)
def test_split_is_one_entry_and_reads_back(splits: TrafficSplits, map_file: Path, split: Split, entry: str) -> None:
    with fake_proxy(map_file.with_name("haproxy.sock"), {}) as commands:
        splits.set("digits", split)
    assert map_file.read_text() == entry
    assert splits.get("digits") == split
    assert commands == ["show map splits.map", f"add map splits.map {entry.strip()}"]


def test_share_and_limit_above_zero_stay_above_zero(splits: TrafficSplits, map_file: Path) -> None:
    with fake_proxy(map_file.with_name("haproxy.sock"), {}):
        splits.set("digits", Split("2.0", 1e-6, slow_seconds=1e-9))
    assert splits.get("digits") == Split("2.0", 0.0001, slow_seconds=1e-6)


def test_split_that_exists_changes_in_one_command(splits: TrafficSplits, map_file: Path) -> None:
    map_file.write_text("digits 2.0:500:none:0\npets 4:100:none:0\n")
    running = "0x1 digits 2.0:500:none:0\n0x2 pets 4:100:none:0\n"
    with fake_proxy(map_file.with_name("haproxy.sock"), {"show map": running}) as commands:
        splits.set("digits", Split("3.0", 0.25))
    assert commands == ["show map splits.map", "set map splits.map digits 3.0:2500:none:0"]
    assert map_file.read_text() == "digits 3.0:2500:none:0\npets 4:100:none:0\n"


def test_split_that_the_proxy_has_already_is_not_sent(splits: TrafficSplits, map_file: Path) -> None:
    with fake_proxy(map_file.with_name("haproxy.sock"), {"show map": "0x1 digits 2.0:500:none:0\n"}) as commands:
        splits.set("digits", Split("2.0", 0.05))
    assert commands == ["show map splits.map"]
    assert splits.get("digits") == Split("2.0", 0.05)


def test_cleared_split_leaves_map_and_proxy(splits: TrafficSplits, map_file: Path) -> None:
    map_file.write_text("digits 2.0:500:none:0\npets 4:100:none:0\n")
    with fake_proxy(map_file.with_name("haproxy.sock"), {"show map": "0x1 digits 2.0:500:none:0\n"}) as commands:
        splits.clear("digits")
    assert commands == ["show map splits.map", "del map splits.map digits"]
    assert splits.get("digits") is None
    assert splits.get("pets") == Split("4", 0.01)


def test_clearing_a_model_without_a_split_changes_nothing(splits: TrafficSplits, map_file: Path) -> None:
    with fake_proxy(map_file.with_name("haproxy.sock"), {}) as commands:
        splits.clear("digits")
    assert commands == ["show map splits.map"]
    assert not map_file.exists()


def test_split_is_on_disk_before_the_proxy_gets_it(splits: TrafficSplits) -> None:
    with pytest.raises(Unreachable):
        splits.set("digits", Split("2.0", 0.05))
    assert splits.get("digits") == Split("2.0", 0.05)


def test_counts_are_those_of_one_version(splits: TrafficSplits, map_file: Path) -> None:
    answers = {
        "show table arms": "# table: arms, type: string, size:1024, used:2\n"
        "0x1: key=digits/2.0 use=0 exp=0 shard=0 conn_cur=0 gpc0=820 gpc1=3 gpc2=52 gpc3=17\n",
        "show table latencies": "# table: latencies, type: string, size:10240, used:4\n"
        "0x1: key=digits/2.0/12e3 use=0 exp=0 shard=0 gpc0=700\n"
        "0x2: key=digits/2.0/98e2 use=0 exp=0 shard=0 gpc0=120\n"
        "0x3: key=digits/2.0.1/98e2 use=0 exp=0 shard=0 gpc0=5\n"
        "0x4: key=other-digits/2.0/98e2 use=0 exp=0 shard=0 gpc0=6\n",
    }
    with fake_proxy(map_file.with_name("haproxy.sock"), answers) as commands:
        counts = splits.counts("digits", "2.0")
    assert counts == ArmCounts(820, 3, 52, 17, {12_000: 700, 9_800: 120})
    assert commands == ["show table arms key digits/2.0", "show table latencies"]


def test_version_without_requests_has_no_counts(splits: TrafficSplits, map_file: Path) -> None:
    answers = {"show table": "# table: arms, type: string, size:1024, used:0\n"}
    with fake_proxy(map_file.with_name("haproxy.sock"), answers):
        assert splits.counts("digits", "2.0") == ArmCounts()


def test_start_keeps_the_splits_whose_candidate_is_routed(map_file: Path) -> None:
    map_file.write_text("digits 2.0:500:none:0\npets 4:100:none:0\ngone 1:100:none:0\n")
    traffic_split.keep_routed(map_file, VERSIONS)
    assert routing.read(map_file) == {"digits": "2.0:500:none:0"}


def test_first_start_has_no_splits(map_file: Path) -> None:
    traffic_split.keep_routed(map_file, VERSIONS)
    assert map_file.read_text() == ""


def test_full_disk_does_not_keep_traffic_from_the_stable_version(
    splits: TrafficSplits, map_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "write", full)
    answers = {"show map": "0x1 digits 2.0:500:none:0"}
    with fake_proxy(map_file.with_name("haproxy.sock"), answers) as commands, pytest.raises(OSError, match="No space"):
        splits.restore("digits", "1.0")
    assert commands[-1] == "set map splits.map digits 1.0:10000:none:0"
