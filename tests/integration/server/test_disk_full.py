"""A disk that is full while a server runs: requests are answered, logging goes on later, and a stop still drains."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.integration.conftest import batching
from tests.support.server import PREDICT_ONLY, Server, run

SIZE = "400k"


@pytest.fixture
def tiny(workspace: Path, tmp_path: Path) -> Iterator[Path]:
    """A workspace whose .run is a file system of its own, and small; the models are unpacked elsewhere."""
    folder = batching(workspace, tmp_path, size=64, delay_ms=1500)
    (folder / ".run").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", folder / ".run"], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder / ".run"], check=True)


def test_a_full_disk_loses_no_request_and_no_command_changes_anything(tiny: Path, digit: dict[str, bytes]) -> None:
    def ask(server: Server) -> int:
        return requests.post(f"{server.url}/predictions/digits", data=digit["7"], timeout=60).status_code

    with Server(tiny, *PREDICT_ONLY, "--container") as server:
        filler = tiny / ".run" / "filler"
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 20))
        assert ask(server) == 200
        journal = (server.instance.folder / "journal.jsonl").read_bytes()
        for command in ("register", "promote", "retire"):
            done = run(tiny, "scripts.versions", command, "--version", "1.0", "--port", str(server.ports.public))
            assert done.returncode == 1
            assert len(done.stderr.splitlines()) == 1
            assert "No space left on device" in done.stderr
        assert (server.instance.folder / "journal.jsonl").read_bytes() == journal
        filler.unlink()
        assert ask(server) == 200
        marker = "/predictions/nothing-like-it"
        requests.post(server.url + marker, data=b"", timeout=30)
        server.await_logged("nothing-like-it")
        with pytest.raises(OSError, match="No space left"):
            filler.write_bytes(bytes(1 << 20))
        with ThreadPoolExecutor(20) as pool:
            answers = [pool.submit(ask, server) for _ in range(20)]
            time.sleep(0.5)
            assert not any(answer.done() for answer in answers), "they must be in flight for this to mean anything"
            server.process.terminate()
            assert [answer.result() for answer in answers] == [200] * 20
        assert server.process.wait(60) == 0
