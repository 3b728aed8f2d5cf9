"""`predict` and `explain` against a server that answers as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import cli
from tests.unit.clients.python.server import Say, Server
from tests.unit.clients.python.test_requests import CLASSES, ONE, PNG, TWO
from tests.unit.clients.python.test_responses import WHY


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORCHLIGHT_TOKEN", raising=False)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(PNG)
    return ["a.png", "b.png"]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(Say(body=ONE))
    yield running
    running.close()


def test_single_image_prints_the_servers_json(
    images: list[str], server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHLIGHT_TOKEN", "open-sesame")
    cli.main(["predict", "a.png", "--url", server.url, "--model", "pets", "--version", "2.0", "--top-k", "3"])
    assert json.loads(capsys.readouterr().out) == ONE
    assert server.seen[0].path == "/predictions/pets/2.0?top_k=3"
    assert server.seen[0].headers["authorization"] == "Bearer open-sesame"


def test_several_images_are_named_in_the_answer(
    images: list[str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.steps = [Say(body=TWO)]
    cli.main(["predict", *images, "--url", server.url])
    assert json.loads(capsys.readouterr().out) == {
        "model": "pets",
        "version": "1.0",
        "request_id": "r1",
        "results": [
            {"image": "a.png", "predictions": CLASSES},
            {"image": "b.png", "predictions": CLASSES[::-1]},
        ],
    }
    assert len(server.seen) == 1


def test_an_explanation_writes_its_picture(
    images: list[str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.steps = [Say(body=WHY)]
    cli.main(["explain", "a.png", "--url", server.url, "--target", "dog", "--out", "why.png"])
    assert Path("why.png").read_bytes() == PNG
    output = capsys.readouterr().out
    document, _, tail = output.rpartition("}\n")
    assert tail == (
        "warning: only 0.3\nIt lies in the middle. why.png shows it: red speaks for 'dog', blue against it.\n"
    )
    assert json.loads(document + "}") == {k: v for k, v in WHY.items() if not k.endswith("_png")}
    assert server.seen[0].path == "/explanations/digits?top_k=5&target=dog"


def test_an_explanation_without_evidence_claims_no_colors(
    images: list[str], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    regions = {**WHY["regions"], "sentence": "There is no evidence."}
    server.steps = [Say(body={**WHY, "regions": regions, "warnings": [{"type": "no_evidence", "message": "noise"}]})]
    cli.main(["explain", "a.png", "--url", server.url, "--out", "why.png"])
    output = capsys.readouterr().out
    assert output.endswith("warning: noise\nThere is no evidence. So why.png shows the image without color.\n")


def test_an_explanation_is_asked_for_with_any_option(images: list[str], server: Server) -> None:
    server.steps = [Say(body=WHY)]
    cli.main(
        [
            "explain",
            "a.png",
            "--url",
            server.url,
            "--contrast",
            "cat,dog",
            "--method",
            "ixg",
            "--option",
            "smoothgrad_samples=9",
        ]
    )
    assert server.seen[0].path == "/explanations/digits?top_k=5&method=ixg&smoothgrad_samples=9&contrast=cat%2Cdog"
    with pytest.raises(SystemExit, match="--option is 'smoothgrad_samples'; it must be NAME=VALUE"):
        cli.main(["explain", "a.png", "--url", server.url, "--option", "smoothgrad_samples"])


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_an_error_of_the_server_is_one_sentence(images: list[str], server: Server, command: str) -> None:
    server.steps = [Say(404, {"code": 404, "type": "ModelNotFound", "message": "no such model"})]
    with pytest.raises(SystemExit, match=r"^error: 404 ModelNotFound: no such model$"):
        cli.main([command, "a.png", "--url", server.url])
