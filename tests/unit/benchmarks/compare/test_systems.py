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
from benchmarks.compare.systems.peer import Plan, free_ports, raw
from benchmarks.compare.systems.server_process import Command

PHOTO = b"\xff\xd8\xff photo \r\n\x00"

# Has a child that leaves its session and its tree, as a daemon does; answers every POST as a classifier would.
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
    def launch(plan: Plan) -> Command:
        return plan.command("-c", program, str(plan.port))

    return Peer("made-up", "1", "https://example.org", (), launch, raw("/"))


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_the_six_peers_are_there_and_each_pins_all_it_installs() -> None:
    assert list(PEERS) == ["stock", "litserve", "bentoml", "ray-serve", "mlserver", "fastapi"]
    for name, found in PEERS.items():
        assert found.name == name
        assert found.documentation.startswith("https://")
        assert all("==" in requirement for requirement in found.requirements)
        assert any(requirement.endswith(f"=={found.version}") for requirement in found.requirements)


@pytest.mark.parametrize("name", ["stock", "ray-serve", "fastapi"])
def test_an_image_is_sent_as_it_is(name: str) -> None:
    assert PEERS[name].request(PHOTO).body == PHOTO


@pytest.mark.parametrize(("name", "field"), [("litserve", "content"), ("bentoml", "images")])
def test_an_image_is_sent_as_a_file_of_a_form(name: str, field: str) -> None:
    _, headers, body = PEERS[name].request(PHOTO)
    boundary = headers["Content-Type"].partition("boundary=")[2].encode()
    _, part, end = body.split(b"--" + boundary)
    head, _, content = part.partition(b"\r\n\r\n")
    assert f'name="{field}"'.encode() in head
    assert (content, end) == (PHOTO + b"\r\n", b"--\r\n")


def test_mlserver_is_asked_in_its_own_protocol() -> None:
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
def test_the_top_class_is_read_from_each_kind_of_answer(name: str, body: bytes) -> None:
    assert PEERS[name].answer(body) == (3, 0.5)


def test_the_engine_mode_needs_a_program(tmp_path: Path) -> None:
    refused = peer(SERVER).start(Path(sys.executable), model(tmp_path), "engine", free_ports(1)[0], tmp_path)
    with pytest.raises(PeerError, match="needs a compiled program"), refused:
        pass


def test_a_started_peer_answers_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    asked = peer(SERVER)
    with asked.start(Path(sys.executable), model(tmp_path), "box", free_ports(1)[0], tmp_path) as url:
        path, headers, body = asked.request(PHOTO)
        with urllib.request.urlopen(urllib.request.Request(url + path, body, headers)) as answer:
            assert asked.answer(answer.read()) == (3, 0.5)
        while not (tmp_path / "daemon").is_file():
            time.sleep(0.01)
        daemon = int((tmp_path / "daemon").read_text())
        assert is_alive(daemon)
    assert not is_alive(daemon)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_peer_that_ends_by_itself_says_its_last_words(tmp_path: Path) -> None:
    broken = peer("raise SystemExit('no such model')")
    with (
        pytest.raises(PeerError, match=r"status 1(?s:.*)no such model"),
        broken.start(Path(sys.executable), model(tmp_path), "box", free_ports(1)[0], tmp_path),
    ):
        pass


def test_a_peer_that_does_not_answer_is_not_waited_for_any_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "START_SECONDS", 0.2)
    silent = peer("import time; time.sleep(60)")
    with (
        pytest.raises(PeerError, match="did not answer within"),
        silent.start(Path(sys.executable), model(tmp_path), "box", free_ports(1)[0], tmp_path),
    ):
        pass


@pytest.mark.parametrize(("mode", "threads"), [("box", None), ("engine", "1")])
def test_threads_are_left_to_the_peer_but_for_our_program(tmp_path: Path, mode: str, threads: str | None) -> None:
    described = model(tmp_path, engine=tmp_path / "cpu.pt2")
    plan = Plan(tmp_path / "bin/python", described, mode, 1, tmp_path, tmp_path, 2)  # type: ignore[arg-type]
    command = plan.command("serve", program="server")
    assert command.arguments == (str(tmp_path / "bin/server"), "serve")
    assert command.environment.get("OMP_NUM_THREADS") == threads


def test_an_environment_is_made_once_and_again_when_the_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> object:
        commands.append(command)
        (tmp_path / "made-up").mkdir(exist_ok=True)
        return type("Ended", (), {"returncode": 0, "stdout": "", "stderr": ""})

    monkeypatch.setattr(environment.subprocess, "run", run)
    found = environment.make(peer(""), tmp_path)
    assert found == tmp_path / "made-up" / "bin" / "python"
    assert environment.make(peer(""), tmp_path) == found
    assert len(commands) == 2
    environment.make(Peer("made-up", "1", "", ("thing==2",), peer("").launch, raw("/")), tmp_path)
    assert commands[-1][-1] == "thing==2"


def test_a_peer_that_cannot_be_installed_is_named_with_the_error_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "WARNING: retrying\nERROR: No matching distribution found for thing==2\n"
    ended = type("Ended", (), {"returncode": 1, "stdout": "", "stderr": said})
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: ended)
    for _ in range(2):
        found = environment.make(peer(""), tmp_path)
        assert found == environment.Unavailable("made-up", "ERROR: No matching distribution found for thing==2")


def test_nothing_of_this_environment_reaches_a_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONHOME", os.sep)
    plan = Plan(tmp_path / "bin/python", model(tmp_path), "box", 1, tmp_path, tmp_path, 2)
    assert not {"OMP_NUM_THREADS", "PYTHONHOME"} & set(plan.command().environment)
