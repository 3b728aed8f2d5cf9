from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.compare.systems import PEERS, Model, Peer, PeerError, environment, server_process
from benchmarks.compare.systems.peer import LaunchPlan, free_ports, raw
from benchmarks.compare.systems.server_process import Command

PHOTO = b"\xff\xd8\xff photo \r\n\x00"

# Starts a daemon, which leaves its session and its process tree, and responds to every POST like a classifier.
SERVER = """
import http.server, os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("draft", "w") as file:
            file.write(str(os.getpid()))
        os.rename("draft", "daemon")
        time.sleep(60)
    os._exit(0)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"index": 3, "probability": 0.5}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def model(folder: Path, engine: Path | None = None) -> Model:
    mean = std = (0.5, 0.5, 0.5)
    return Model("m", "cnn", {"classes": 2}, folder / "w", engine, 24, "stretch", 1.0, mean, std, ("cat", "dog"))


def peer(program: str) -> Peer:
    def launch(plan: LaunchPlan) -> Command:
        return plan.command("-c", program, str(plan.port))

    return Peer("made-up", "1", "https://example.org", (), launch, raw("/"))


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_six_peers_exist_and_each_pins_its_requirements() -> None:
    assert list(PEERS) == ["stock", "litserve", "bentoml", "ray-serve", "mlserver", "fastapi"]
    for name, peer in PEERS.items():
        assert peer.name == name
        assert peer.documentation.startswith("https://")
        assert all("==" in requirement for requirement in peer.requirements)
        assert any(requirement.endswith(f"=={peer.version}") for requirement in peer.requirements)


@pytest.mark.parametrize("name", ["stock", "ray-serve", "fastapi"])
def test_image_is_sent_as_raw_bytes(name: str) -> None:
    assert PEERS[name].request(PHOTO).body == PHOTO


@pytest.mark.parametrize(("name", "field"), [("litserve", "content"), ("bentoml", "images")])
def test_image_is_sent_as_a_file_of_a_form(name: str, field: str) -> None:
    _, headers, body = PEERS[name].request(PHOTO)
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    _, part, end = body.split(b"--" + boundary)
    head, _, content = part.partition(b"\r\n\r\n")
    assert f'name="{field}"'.encode() in head
    assert (content, end) == (PHOTO + b"\r\n", b"--\r\n")


def test_mlserver_request_follows_the_v2_protocol() -> None:
    _, _, body = PEERS["mlserver"].request(b"abc")
    assert json.loads(body)["inputs"][0]["data"] == ["YWJj"]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("stock", b'{\n  "index": 3,\n  "probability": 0.5\n}'),
        ("bentoml", b'[{"index": 3, "probability": 0.5}]'),
        ("mlserver", b'{"outputs": [{"data": [{"index": 3, "probability": 0.5}]}]}'),
    ],
)
def test_top_class_is_parsed_from_each_kind_of_response(name: str, body: bytes) -> None:
    assert PEERS[name].parse(body) == (3, 0.5)


def test_engine_mode_needs_a_program(tmp_path: Path) -> None:
    start = peer(SERVER).start(Path(sys.executable), model(tmp_path), "engine", free_ports(1)[0], tmp_path)
    with pytest.raises(PeerError, match="needs a compiled program"), start:
        pass


def test_started_peer_responds_and_leaves_no_process(tmp_path: Path) -> None:
    started_peer = peer(SERVER)
    with started_peer.start(Path(sys.executable), model(tmp_path), "default", free_ports(1)[0], tmp_path) as url:
        path, headers, body = started_peer.request(PHOTO)
        with urllib.request.urlopen(urllib.request.Request(url + path, body, headers)) as response:
            assert started_peer.parse(response.read()) == (3, 0.5)
        while not (tmp_path / "daemon").is_file():
            time.sleep(0.01)
        daemon = int((tmp_path / "daemon").read_text())
        assert is_alive(daemon)
    assert not is_alive(daemon)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_peer_that_ends_is_an_error_with_its_last_output(tmp_path: Path) -> None:
    broken = peer("raise SystemExit('no such model')")
    with (
        pytest.raises(PeerError, match=r"status 1(?s:.*)no such model"),
        broken.start(Path(sys.executable), model(tmp_path), "default", free_ports(1)[0], tmp_path),
    ):
        pass


def test_peer_that_does_not_respond_is_an_error_after_a_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "START_SECONDS", 0.2)
    silent = peer("import time; time.sleep(60)")
    with (
        pytest.raises(PeerError, match="did not respond within"),
        silent.start(Path(sys.executable), model(tmp_path), "default", free_ports(1)[0], tmp_path),
    ):
        pass


@pytest.mark.parametrize(("mode", "threads"), [("default", None), ("engine", "1")])
def test_threads_are_limited_only_in_the_engine_mode(tmp_path: Path, mode: str, threads: str | None) -> None:
    described = model(tmp_path, engine=tmp_path / "cpu.pt2")
    plan = LaunchPlan(tmp_path / "bin/python", described, mode, 1, tmp_path, tmp_path, 2)  # type: ignore[arg-type]
    command = plan.command("serve", program="server")
    assert command.arguments == (str(tmp_path / "bin/server"), "serve")
    assert command.environment.get("OMP_NUM_THREADS") == threads


def test_environment_is_created_again_when_the_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> object:
        commands.append(command)
        (tmp_path / "made-up").mkdir(exist_ok=True)
        return type("Ended", (), {"returncode": 0, "stdout": "", "stderr": ""})

    monkeypatch.setattr(environment.subprocess, "run", run)
    python = environment.create(peer(""), tmp_path)
    assert python == tmp_path / "made-up" / "bin" / "python"
    assert environment.create(peer(""), tmp_path) == python
    assert len(commands) == 2
    environment.create(Peer("made-up", "1", "", ("thing==2",), peer("").launch, raw("/")), tmp_path)
    assert commands[-1][-1] == "thing==2"


def test_peer_that_cannot_be_installed_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = "WARNING: retrying\nERROR: No matching distribution found for thing==2\n"
    process = type("Ended", (), {"returncode": 1, "stdout": "", "stderr": output})
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: process)
    for _ in range(2):
        result = environment.create(peer(""), tmp_path)
        assert result == environment.Unavailable("made-up", "ERROR: No matching distribution found for thing==2")


def test_peer_does_not_inherit_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONHOME", os.sep)
    plan = LaunchPlan(tmp_path / "bin/python", model(tmp_path), "default", 1, tmp_path, tmp_path, 2)
    assert not {"OMP_NUM_THREADS", "PYTHONHOME"} & set(plan.command().environment)
