"""Versioned rollouts on one server: register, promote, roll back, retire; and archives that must be refused."""

from __future__ import annotations

import json
import os
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from models.release import sha256
from scripts import cli
from serving.artifacts.store import digest_file
from serving.rollout.journal import Journal
from tests.support.server import Server, free_port, run
from tests.support.version_commands import answering, run_ok, run_versions, server_state


def test_a_version_is_registered_promoted_rolled_back_and_retired(served: Server, digit: dict[str, bytes]) -> None:
    image = digit["3"]
    assert (
        run_ok(served, "register", "--version", "2.0") == "digits 2.0: registered; it answers requests that name it\n"
    )
    assert (answering(served, image), answering(served, image, "/2.0")) == ("1.0", "2.0")
    run_ok(served, "promote", "--version", "2.0")
    assert (answering(served, image), answering(served, image, "/1.0")) == ("2.0", "1.0")
    key = served.key("inference")
    direct = requests.post(f"{served.direct}/predictions/digits", data=image, headers=key, timeout=30)
    assert direct.json()["version"] == "2.0"
    assert "is the default version" in run_versions(served, "retire", "--version", "2.0").stderr
    run_ok(served, "rollback")
    assert answering(served, image) == "1.0"
    run_ok(served, "retire", "--version", "2.0")
    gone = requests.post(f"{served.url}/predictions/digits/2.0", data=image, timeout=30)
    assert gone.json()["type"] == "VersionNotFound"
    rows = json.loads(run_ok(served, "models", "--json"))
    assert [(row["version"], row["default"], row["ready"]) for row in rows] == [("1.0", True, 1)]
    steps = [(entry["command"], entry["step"]) for entry in Journal(served.instance.folder).entries()]
    assert steps.count(("promote", "committed")) == 1
    assert ("retire", "drained") in steps
    assert "promote digits 2.0: committed" in run_ok(served, "history")


def test_version_commands_are_idempotent(served: Server, digit: dict[str, bytes]) -> None:
    for command in (
        ("register", "--version", "2.0"),
        ("promote", "--version", "2.0"),
        ("rollback",),
        ("retire", "--version", "2.0"),
    ):
        run_ok(served, *command)
        once = server_state(served)
        run_ok(served, *command)
        assert server_state(served) == once
    assert answering(served, digit["3"]) == "1.0"


def test_workers_are_scaled_and_come_back(served: Server) -> None:
    run_ok(served, "register", "--version", "2.0", "--workers", "2")
    run_ok(served, "promote", "--version", "2.0")
    assert [status for _, status in served.workers()] == ["READY", "READY"]
    port = str(served.ports.public)
    assert run(served.workspace, "scripts.stop", "--port", port).returncode == 0
    assert run(served.workspace, "scripts.serve", "--port", port).returncode == 0
    try:
        assert [status for _, status in served.workers()] == ["READY", "READY"]
    finally:
        run(served.workspace, "scripts.stop", "--port", port)


def test_promotion_survives_kill_9(store: Path, digit: dict[str, bytes]) -> None:
    with Server(store, "--version", "1.0") as server:
        run_ok(server, "register", "--version", "2.0")
        run_ok(server, "promote", "--version", "2.0")
        server.process.kill()
        server.process.wait(10)
        time.sleep(2)  # the kernel ends Java and HAProxy
        port = str(server.ports.public)
        again = run(store, "scripts.serve", "--port", port)
        assert again.returncode == 0, again.stderr
        try:
            assert (answering(server, digit["3"]), answering(server, digit["3"], "/1.0")) == ("2.0", "1.0")
        finally:
            run(store, "scripts.stop", "--port", port)


# ---- bad archives


def altered(store: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """Digits 4.0 in the store: 2.0 with members changed, and 4.0 inside as well."""
    target = store / "model_store" / "digits-4.0.mar"
    with zipfile.ZipFile(store / "model_store" / "digits-2.0.mar") as good, zipfile.ZipFile(target, "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name == "MAR-INF/MANIFEST.json":
                content = content.replace(b'"2.0"', b'"4.0"')
            if name == "card.yaml":
                content = content.replace(b"'2.0'", b"'4.0'")
            bad.writestr(name, change(name, content))
    return target


def in_member(member: str, change: Callable[[bytes], bytes]) -> Callable[[str, bytes], bytes]:
    return lambda name, content: change(content) if name == member else content


BROKEN = {
    "raises in initialize": (
        in_member("torchserve_handler.py", lambda c: c + b"\nraise OSError('no such thing')\n"),
        "no such thing",
    ),
    "wrong shape": (in_member("card.yaml", lambda c: c.replace(b"image_size: 24", b"image_size: 32")), "does not fit"),
    "fails golden": (in_member("golden/answers.json", lambda c: c.replace(b"0.9", b"0.1")), "golden image"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_version_that_cannot_load_is_removed_with_its_reason(
    served: Server, store: Path, digit: dict[str, bytes], fault: str
) -> None:
    change, words = BROKEN[fault]
    archive = altered(store, change)
    try:
        before = server_state(served)
        failed = run_versions(served, "register", "--version", "4.0")
        assert failed.returncode == 1
        last = failed.stderr.strip().splitlines()[-1]
        assert last.startswith("error: digits 4.0 cannot be loaded: ")
        assert words in last
        assert server_state(served) == before
        assert answering(served, digit["3"]) == "1.0"
        assert "not registered" in run_versions(served, "promote", "--version", "4.0").stderr
        assert json.loads(run_versions(served, "promote", "--version", "4.0", "--json").stdout)["ok"] is False
    finally:
        archive.unlink()


def test_damaged_renamed_or_missing_archive_is_refused_before_torchserve_sees_it(served: Server, store: Path) -> None:
    archive = store / "model_store" / "digits-4.0.mar"
    whole = (store / "model_store" / "digits-2.0.mar").read_bytes()
    try:
        archive.write_bytes(whole[:9000])
        assert "not a complete .mar" in run_versions(served, "register", "--version", "4.0").stderr
        archive.write_bytes(whole)
        refusal = run_versions(served, "register", "--version", "4.0").stderr
        assert "contains digits 2.0, not what its name says" in refusal
        archive.write_bytes(whole.replace(b"IHDR", b"IHDX", 1))
        assert "is damaged" in run_versions(served, "register", "--version", "4.0").stderr
    finally:
        archive.unlink()
    assert "no such archive" in run_versions(served, "register", "--version", "4.0").stderr


def test_a_truncated_archive_stops_the_start_with_its_name(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "model_store").mkdir()
    whole = (workspace / "model_store" / "digits-1.0.mar").read_bytes()
    (tmp_path / "model_store" / "digits-1.0.mar").write_bytes(whole[:5000])
    done = run(tmp_path, "scripts.serve", "--foreground", "--port", str(free_port()))
    assert done.returncode == 1
    assert done.stderr.startswith("error: model_store/digits-1.0.mar: not a complete .mar (")
    assert len(done.stderr.splitlines()) == 1


def with_digest(archive: Path) -> None:
    """Write the digest of an archive beside it, as `make archive` does."""
    digest_file(archive).write_text(f"{sha256(archive)}  {archive.name}\n", encoding="ascii")


REPLACED = in_member("torchserve_handler.py", lambda content: content + b"\nraise OSError('other code')\n")


def test_archive_with_other_content_is_not_mistaken_for_the_registered_version(
    served: Server, store: Path, digit: dict[str, bytes]
) -> None:
    archive = altered(store, lambda name, content: content)
    with_digest(archive)
    original = archive.read_bytes()
    try:
        run_ok(served, "register", "--version", "4.0")
        registered = server_state(served)
        altered(store, REPLACED)
        assert "digits-4.0.mar.sha256 says" in run_versions(served, "register", "--version", "4.0").stderr
        assert "digits-4.0.mar.sha256 says" in run_versions(served, "promote", "--version", "4.0").stderr
        with_digest(archive)
        failed = json.loads(run_versions(served, "register", "--version", "4.0", "--json").stdout)
        assert failed["ok"] is False
        assert failed["error"].startswith("digits 4.0 is registered with other content: SHA-256 ")
        assert "has changed since it was registered" in run_versions(served, "promote", "--version", "4.0").stderr
        assert server_state(served) == registered
        # TorchServe unpacks an archive once: a worker that starts again runs what was registered.
        before = served.workers("digits/4.0")
        os.kill(before[0][0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while (after := served.workers("digits/4.0")) == before or after[0][1] != "READY":
            assert time.monotonic() < deadline, after
            time.sleep(0.2)
        assert answering(served, digit["3"], "/4.0") == "4.0"
        archive.write_bytes(original)
        with_digest(archive)
        run_ok(served, "register", "--version", "4.0")
        run_ok(served, "promote", "--version", "4.0")
        assert answering(served, digit["3"]) == "4.0"
        altered(store, REPLACED)
        port = str(served.ports.public)
        assert run(store, "scripts.stop", "--port", port).returncode == 0
        again = run(store, "scripts.serve", "--port", port)
        assert again.returncode == 1
        assert "digits-4.0.mar.sha256 says" in again.stderr
    finally:
        archive.unlink()
        digest_file(archive).unlink()


MISTAKES = {
    ("retire", "--model", "nothing", "--version", "1.0"): "no model 'nothing' is served: there is digits",
    ("retire", "--version", "7.0"): "no version 7.0 of 'digits' is registered: there is 1.0 (the default)",
    ("retire", "--version", "1"): "digits 1 and digits 1.0 are the same version in two spellings",
    ("retire", "--version", "1.0"): "digits 1.0 is the default version: promote another one first",
    ("promote", "--model", "nothing", "--version", "1.0"): "no model 'nothing' is served: there is digits",
    ("promote", "--version", "1.0.0"): "digits 1.0.0 and digits 1.0 are the same version in two spellings",
    ("rollback", "--model", "nothing"): "no model 'nothing' is served: there is digits",
    ("register", "--version", "1"): "digits 1 and digits 1.0 are the same version in two spellings",
    ("register", "--version", "02.0"): "version '02.0': a number has no zeros in front; write 2.0",
    ("register", "--version", "2.0", "--workers", "0"): "workers is 0: give a number from 1 to 256",
    ("register", "--version", "2.0", "--workers", "-1"): "workers is -1: give a number from 1 to 256",
    ("register", "--version", "2.0", "--workers", "1000000"): "workers is 1000000: give a number from 1 to 256",
}


def test_mistakes_are_named_also_to_programs_and_change_nothing(
    served: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = server_state(served)
    monkeypatch.chdir(served.workspace)
    for words, expected in MISTAKES.items():
        with pytest.raises(SystemExit) as ended:  # in this process: each command of its own takes a second to begin
            cli.main(["versions", *words, "--port", str(served.ports.public), "--json"])
        assert ended.value.code == 1, words
        answer = json.loads(capsys.readouterr().out)
        assert answer["ok"] is False
        assert answer["error"].startswith(expected), words
    assert server_state(served) == before


def test_commands_without_a_server_say_so(store: Path) -> None:
    port = free_port()
    for command in ("models", "rollback"):
        failed = run(store, "scripts.versions", command, "--port", str(port))
        remedy = f"start one with `torchlight serve --port {port}`"
        assert failed.stderr == f"error: no server is ready on port {port}: {remedy}\n"
