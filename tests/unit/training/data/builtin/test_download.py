"""A download from servers that cut connections, cannot resume, or lie."""

from __future__ import annotations

import fcntl
import hashlib
import resource
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from training.data import DataError
from training.data.builtin import download
from training.data.builtin.download import fetch

CONTENT = np.random.default_rng(0).bytes(300_000)
SIZE = len(CONTENT)
SUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server:
    """Server whose behavior each test sets; `asked` has the Range of each request."""

    content = CONTENT
    status = 0  # answer with it, and nothing else
    resumes = True
    cut = SIZE  # bytes of an answer after which the connection is cut
    shift = 0  # what it lies about where a part begins
    length = True  # whether it says how long the answer is

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.before: Callable[[Server], None] = lambda server: None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.headers["Range"])
        self.before(self)
        if self.status:
            request.send_error(self.status)
            return
        first = int((self.asked[-1] or "bytes=0-").removeprefix("bytes=").rstrip("-")) if self.resumes else 0
        body = self.content[first:]
        if self.resumes and self.asked[-1]:
            request.send_response(206)
            last = len(self.content) - 1
            request.send_header("Content-Range", f"bytes {first + self.shift}-{last}/{len(self.content)}")
        else:
            request.send_response(200)
        if self.length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cut])
        request.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.url = f"http://127.0.0.1:{listening.server_port}/file.bin"  # type: ignore[attr-defined]
        yield server
        listening.shutdown()
        thread.join()


def get(server: Server, path: Path, checksum: str = SUM) -> None:
    fetch(server.url, path, checksum, SIZE)  # type: ignore[attr-defined]


def test_the_file_comes_whole_into_a_folder_that_is_made(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.bin"
    get(server, path)
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_is_checked_and_not_fetched(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    get(server, path)
    assert server.asked == []
    path.write_bytes(b"another")
    with pytest.raises(
        DataError, match=r"file\.bin is not the file from http.*: remove it to download it anew \(its sha"
    ):
        get(server, path)
    assert path.read_bytes() == b"another"


def test_md5_is_a_checksum_too(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "file.bin", "md5:" + hashlib.md5(CONTENT).hexdigest())


def test_a_connection_that_is_cut_is_resumed_where_it_broke_off(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.cut = 40_000  # eight requests: more than failures in a row that are borne
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, *(f"bytes={first}-" for first in range(40_000, SIZE, 40_000))]
    assert ") at 40,000 bytes: again in" in capsys.readouterr().err


def test_partial_download_is_resumed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:250_000])
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == ["bytes=250000-"]


def test_a_part_that_is_whole_or_too_long_is_dealt_with(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    get(server, tmp_path / "file.bin")
    assert server.asked == []
    (tmp_path / "file.bin").unlink()
    (tmp_path / "file.bin.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "file.bin")
    assert server.asked == [None]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_begins_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    server.resumes = False
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_and_always_breaks_off_is_given_up(server: Server, tmp_path: Path) -> None:
    server.resumes = False

    def vary(server: Server) -> None:
        server.cut = 40_000 if len(server.asked) % 2 else 20_000
        server.status = 404 if len(server.asked) > 9 else 0  # stops an endless retry

    server.before = vary
    with pytest.raises(
        DataError, match=r"cannot be downloaded: no connection, or a broken one \(.*\)\. Try again later"
    ):
        get(server, tmp_path / "file.bin")
    assert len(server.asked) == 1 + 4, "the first went further than before, four did not"


def test_a_server_that_is_busy_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = 503

    def recover(server: Server) -> None:
        server.status = 503 if len(server.asked) < 3 else 0

    server.before = recover
    get(server, tmp_path / "file.bin")
    assert len(server.asked) == 3


def test_a_server_without_the_file_is_not(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(
        DataError, match=r"the server answers 404 Not Found\. Try .* yourself and put it at .*/file\.bin$"
    ):
        get(server, tmp_path / "file.bin")
    assert len(server.asked) == 1


def test_no_server_means_how_to_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(
        DataError, match=r"no connection, .*\(ConnectionError\)\. Try .* or download it yourself and put it at"
    ):
        fetch("http://127.0.0.1:9/file.bin", tmp_path / "file.bin", SUM, SIZE)


def test_a_part_from_the_wrong_place_is_not_joined_on(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.shift = 7
    get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_changed_length_is_noticed_before_the_partial_file_is_lost(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.content, server.resumes = b"<html>Please log in</html>", False
    with pytest.raises(DataError, match="the server has 26 bytes, not 300,000"):
        get(server, tmp_path / "file.bin")
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:1000]


def test_a_stream_without_an_end_is_not_stored(server: Server, tmp_path: Path) -> None:
    server.content, server.length, server.cut = CONTENT * 2, False, 2 * SIZE
    with pytest.raises(DataError, match="the server gives more than 300,000 bytes"):
        get(server, tmp_path / "file.bin")


def test_the_wrong_bytes_are_removed(server: Server, tmp_path: Path) -> None:
    server.content = b"x" + CONTENT[1:]
    with pytest.raises(
        DataError, match=r"is not the file it should be and was removed: try again \(its sha256 is \w+, not"
    ):
        get(server, tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []
    server.content = CONTENT
    get(server, tmp_path / "file.bin")


def test_a_full_disk_is_said_and_what_has_come_is_kept(server: Server, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # what a disk does that takes no more than this
    try:
        with pytest.raises(
            DataError, match=r"\.part cannot be written: File too large\. The whole needs 300,000 bytes"
        ):
            get(server, tmp_path / "file.bin")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:100_000]
    get(server, tmp_path / "file.bin")
    assert server.asked[-1] == "bytes=100000-"


def test_two_that_want_the_same_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=get, args=(server, tmp_path / "file.bin")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [tmp_path / "file.bin"]


def test_waiting_download_resumes_where_the_other_ended(server: Server, tmp_path: Path) -> None:
    with (tmp_path / "file.bin.part").open("ab") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        waiting = threading.Thread(target=get, args=(server, tmp_path / "file.bin"))
        waiting.start()
        time.sleep(0.2)
        part.write(CONTENT[:100_000])
    waiting.join()
    assert server.asked == ["bytes=100000-"]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
