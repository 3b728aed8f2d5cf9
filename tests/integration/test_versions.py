"""Versioned rollouts on one server: register, promote, roll back, retire; under load, with bad archives, and killed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from serving import journal, routing, state
from serving.errors import Conflict, NotRegistered, Refused, Unauthorised, Unreachable
from serving.management import Management
from serving.tokens import KeyFile
from tests.integration.server import Server, environment, free_port, run


@pytest.fixture(scope="module")
def store(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with digits 1.0, 2.0 and 3.0 in its store."""
    folder = tmp_path_factory.mktemp("versions")
    shutil.copytree(workspace / "releases", folder / "releases")
    for version, epochs in (("2.0", "3"), ("3.0", "4")):
        assert run(folder, "scripts.train", "--version", version, "--epochs", epochs).returncode == 0
    for version in ("1.0", "2.0", "3.0"):
        assert run(folder, "scripts.archive", "--version", version).returncode == 0
    return folder


@pytest.fixture
def served(store: Path) -> Iterator[Server]:
    """A server with 1.0 alone, as one that was never touched."""
    with Server(store, "--version", "1.0") as server:
        yield server


def do(server: Server, command: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return run(server.workspace, "scripts.versions", command, "--port", str(server.ports.public), *flags)


def done(server: Server, command: str, *flags: str) -> str:
    finished = do(server, command, *flags)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def answering(server: Server, image: bytes, version: str = "") -> str:
    answer = requests.post(f"{server.url}/predictions/digits{version}", data=image, timeout=30)
    assert answer.status_code == 200
    return str(answer.json()["version"])


def test_a_version_is_registered_promoted_rolled_back_and_retired(served: Server, digit: dict[str, bytes]) -> None:
    image = digit["3"]
    assert done(served, "register", "--version", "2.0") == "digits 2.0: registered; it answers those who name it\n"
    assert (answering(served, image), answering(served, image, "/2.0")) == ("1.0", "2.0")
    done(served, "promote", "--version", "2.0")
    assert (answering(served, image), answering(served, image, "/1.0")) == ("2.0", "1.0")
    assert requests.post(f"{served.direct}/predictions/digits", data=image, timeout=30).json()["version"] == "2.0"
    assert "is the default version" in do(served, "retire", "--version", "2.0").stderr
    done(served, "rollback")
    assert answering(served, image) == "1.0"
    done(served, "retire", "--version", "2.0")
    gone = requests.post(f"{served.url}/predictions/digits/2.0", data=image, timeout=30)
    assert gone.json()["type"] == "VersionNotFound"
    rows = json.loads(done(served, "models", "--json"))
    assert [(row["version"], row["default"], row["ready"]) for row in rows] == [("1.0", True, 1)]
    steps = [(entry["command"], entry["step"]) for entry in journal.read(served.instance.folder)]
    assert steps.count(("promote", "committed")) == 1
    assert ("retire", "drained") in steps
    assert "promote digits 2.0: committed" in done(served, "history")


def test_every_command_twice_is_as_once(served: Server, digit: dict[str, bytes]) -> None:
    for command in (
        ("register", "--version", "2.0"),
        ("promote", "--version", "2.0"),
        ("rollback",),
        ("retire", "--version", "2.0"),
    ):
        done(served, *command)
        once = facts(served)
        done(served, *command)
        assert facts(served) == once
    assert answering(served, digit["3"]) == "1.0"


def test_workers_are_scaled_and_come_back(served: Server) -> None:
    done(served, "register", "--version", "2.0", "--workers", "2")
    done(served, "promote", "--version", "2.0")
    assert [status for _, status in served.workers()] == ["READY", "READY"]
    port = str(served.ports.public)
    assert run(served.workspace, "scripts.stop", "--port", port).returncode == 0
    assert run(served.workspace, "scripts.serve", "--port", port).returncode == 0
    try:
        assert [status for _, status in served.workers()] == ["READY", "READY"]
    finally:
        run(served.workspace, "scripts.stop", "--port", port)


def test_what_was_promoted_comes_back_after_kill_9(store: Path, digit: dict[str, bytes]) -> None:
    with Server(store, "--version", "1.0") as server:
        done(server, "register", "--version", "2.0")
        done(server, "promote", "--version", "2.0")
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
        in_member("entry.py", lambda c: c + b"\nraise OSError('no such thing')\n"),
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
        before = facts(served)
        failed = do(served, "register", "--version", "4.0")
        assert failed.returncode == 1
        last = failed.stderr.strip().splitlines()[-1]
        assert last.startswith("error: digits 4.0 cannot be loaded: ")
        assert words in last
        assert facts(served) == before
        assert answering(served, digit["3"]) == "1.0"
        assert "not registered" in do(served, "promote", "--version", "4.0").stderr
        assert json.loads(do(served, "promote", "--version", "4.0", "--json").stdout)["ok"] is False
    finally:
        archive.unlink()


def test_an_archive_that_is_damaged_renamed_or_missing_is_refused_before_torchserve_sees_it(
    served: Server, store: Path
) -> None:
    archive = store / "model_store" / "digits-4.0.mar"
    whole = (store / "model_store" / "digits-2.0.mar").read_bytes()
    try:
        archive.write_bytes(whole[:9000])
        assert "not a whole .mar" in do(served, "register", "--version", "4.0").stderr
        archive.write_bytes(whole)
        assert "holds digits 2.0, not what its name says" in do(served, "register", "--version", "4.0").stderr
        archive.write_bytes(whole.replace(b"IHDR", b"IHDX", 1))
        assert "is damaged" in do(served, "register", "--version", "4.0").stderr
    finally:
        archive.unlink()
    assert "no such archive" in do(served, "register", "--version", "4.0").stderr


def test_commands_without_a_server_say_so(store: Path) -> None:
    port = free_port()
    for command in ("models", "rollback"):
        failed = run(store, "scripts.versions", command, "--port", str(port))
        assert failed.stderr == f"error: no server is ready on port {port}: start one with `make serve PORT={port}`\n"


# ---- killed between any two steps

KILLER = """
import os, signal, sys
from serving import files, journal, management, routing
left = int(sys.argv[1])

def deadly(owner, name):
    original = getattr(owner, name)
    def effect(*args, **kwargs):
        global left
        answer = original(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer
    setattr(owner, name, effect)

deadly(files, "write")
deadly(files, "append_line")
deadly(routing.Routing, "_command")
deadly(management.Management, "_call")
from scripts.versions import main
main(sys.argv[2:])
"""


def facts(server: Server) -> dict[str, Any]:
    """Everything that must agree in the end: state, map on disk and at run time, TorchServe's own default."""
    folder = server.instance.folder
    status = server.instance.status()
    assert status is not None
    door = routing.Routing(folder / routing.FILE_NAME, Path(status.temp) / "haproxy.sock")
    kept = json.loads((folder / "state.json").read_text())["models"]["digits"]
    management = Management(server.ports.management)
    return {
        "default": kept["default"],
        "previous": kept["previous"],
        "rolled_back_from": kept["rolled_back_from"],
        "versions": {version: entry["workers"] for version, entry in kept["versions"].items()},
        "map on disk": routing.read(folder / routing.FILE_NAME),
        "map at run time": door._running(),
        "TorchServe": management.models(),
        "registered": sorted((v.version, v.wanted, v.ready) for v in management.describe("digits")),
    }


def killed_everywhere(server: Server, command: tuple[str, ...], reset: Callable[[], None], step: int = 1) -> int:
    """Run a command killed after each of its effects in turn, then again; every end must be the same."""
    flags = [*command, "--port", str(server.ports.public)]
    reset()
    done(server, *command)
    expected = facts(server)
    for after in range(1, 100, step):
        reset()
        killed = subprocess.run(
            [sys.executable, "-c", KILLER, str(after), *flags],
            cwd=server.workspace,
            env=environment(server.workspace / "tmp"),
            capture_output=True,
            timeout=60,
        )
        if killed.returncode == 0:
            return after
        assert killed.returncode == -9, killed.stderr
        done(server, *command)
        assert facts(server) == expected, f"killed after effect {after}"
        lines = (server.instance.folder / journal.FILE_NAME).read_text().splitlines()
        assert json.loads(lines[-1])["step"] == "done"
        assert all(json.loads(line)["time"] for line in lines)
    raise AssertionError("the command never came to its end")


def test_promote_killed_anywhere_is_repaired_by_running_it_again(served: Server) -> None:
    done(served, "register", "--version", "2.0")

    def reset() -> None:
        done(served, "promote", "--version", "1.0")

    assert killed_everywhere(served, ("promote", "--version", "2.0"), reset) > 10


def test_rollback_killed_anywhere_is_repaired_by_running_it_again(served: Server) -> None:
    done(served, "register", "--version", "2.0")

    def reset() -> None:
        done(served, "promote", "--version", "1.0")
        done(served, "promote", "--version", "2.0")

    assert killed_everywhere(served, ("rollback",), reset) > 10


def test_register_and_retire_killed_on_the_way_are_repaired_by_running_them_again(served: Server) -> None:
    def without() -> None:
        done(served, "retire", "--version", "2.0")

    def with_it() -> None:
        done(served, "register", "--version", "2.0")

    assert killed_everywhere(served, ("register", "--version", "2.0"), without, step=5) > 10
    assert killed_everywhere(served, ("retire", "--version", "2.0"), with_it, step=5) > 10


def test_two_commands_at_once_do_not_mix(served: Server) -> None:
    import fcntl

    with (served.instance.folder / "commands.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another version command is running" in do(served, "rollback").stderr


# ---- under load


class Load:
    """So many requests a second until the end of a `with` block; the default version before and after each is noted."""

    def __init__(self, server: Server, image: bytes, rate: float) -> None:
        self._server, self._image, self._rate = server, image, rate
        self._stop = threading.Event()
        self.answers: list[tuple[set[str], str]] = []
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._client, args=(n,)) for n in range(5)]
        self._map = server.instance.folder / routing.FILE_NAME

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, number: int) -> None:
        session = requests.Session()
        interval = len(self._threads) / self._rate
        due = time.monotonic() + number * interval / len(self._threads)
        while not self._stop.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due += interval
            before = routing.read(self._map)["digits"]
            try:
                answer = session.post(f"{self._server.url}/predictions/digits", data=self._image, timeout=30)
                version = answer.headers["X-Model-Version"]
                label = answer.json()["predictions"][0]["label"]
                assert (answer.status_code, label) == (200, "7")
            except Exception as error:
                self.failures.append(repr(error))
                continue
            # The map changes on disk a moment before it does at run time, so both may answer around a change.
            self.answers.append(({self._last, before, routing.read(self._map)["digits"]}, version))

    _last = "1.0"


def test_versions_change_under_load_and_no_request_is_lost(served: Server, digit: dict[str, bytes]) -> None:
    """50 requests a second through two promotions, a retirement and a rollback; at least 5,000 in all."""
    began = time.monotonic()
    with Load(served, digit["7"], rate=50) as load:
        changes: list[tuple[str, ...]] = [
            ("register", "--version", "2.0"),
            ("promote", "--version", "2.0"),
            ("retire", "--version", "1.0"),
            ("register", "--version", "3.0"),
            ("promote", "--version", "3.0"),
            ("rollback",),
        ]
        for change in changes:
            done(served, *change)
            load._last = routing.read(served.instance.folder / routing.FILE_NAME)["digits"]
            time.sleep(5)
        while len(load.answers) < 5_000 and time.monotonic() - began < 200:
            time.sleep(0.5)
    assert load.failures == []
    assert len(load.answers) >= 5_000
    wrong = [(allowed, version) for allowed, version in load.answers if version not in allowed]
    assert wrong == []
    assert {version for _, version in load.answers} == {"1.0", "2.0", "3.0"}


# ---- the management client itself


def test_the_client_raises_its_own_errors(served: Server) -> None:
    management = Management(served.ports.management)
    assert management.models() == {"digits": "digits-1.0.mar"}
    with pytest.raises(NotRegistered, match=r"404: Model version 9\.0 does not exist"):
        management.set_default("digits", "9.0")
    with pytest.raises(NotRegistered, match=r"Model not found at: nothing\.mar"):
        management.register("digits", "nothing.mar", 1)
    with pytest.raises(Conflict, match="already registered"):
        management.register("digits", "digits-1.0.mar", 1)
    management.register("digits", "digits-2.0.mar", 1)
    with pytest.raises(Refused, match="403: Cannot remove default version"):
        management.unregister("digits", "1.0")
    with pytest.raises(NotRegistered, match="does not match any allowed URL"):
        management.register("digits", "https://example.org/x.mar", 1)
    assert management.find("digits", "9.0") is None
    with pytest.raises(Unreachable, match="does not answer at all"):
        Management(free_port()).models()


def test_a_management_token_is_used_and_renewed_in_time(store: Path) -> None:
    with Server(store, "--version", "1.0", "--mode", "production") as server:
        path = server.instance.folder / "key_file.json"
        keys = KeyFile(path, server.ports.management)
        with pytest.raises(Unauthorised):
            Management(server.ports.management).models()
        first = keys.token("management")
        assert Management(server.ports.management, keys).models() == {"digits": "digits-1.0.mar"}
        document = json.loads(path.read_text())
        assert first == document["management"]["key"], "a fresh token is not renewed"
        document["management"]["expiration time"] = "2020-01-01T00:00:00.000000000Z"
        path.write_text(json.dumps(document))
        second = keys.token("management")
        assert second != first
        assert Management(server.ports.management, keys).models() == {"digits": "digits-1.0.mar"}
        done(server, "register", "--version", "2.0")
        done(server, "promote", "--version", "2.0")


def test_state_survives_what_it_should(served: Server) -> None:
    path = served.instance.folder / "state.json"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    kept = state.load(served.instance.folder)
    assert kept is not None
    assert kept.models["digits"].default == "1.0"
