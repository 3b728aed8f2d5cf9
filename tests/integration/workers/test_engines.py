"""A compiled engine answers over HTTP, and the network it was made from explains."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from models.card import Card
from tests.support.server import PREDICT_ONLY, Server, run


@pytest.fixture(scope="module")
def optimized(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose digits have an int8 engine."""
    folder = tmp_path_factory.mktemp("optimized")
    shutil.copytree(workspace / "releases", folder / "releases")
    for command in (["scripts.optimize", "--engines", "int8"], ["scripts.archive"]):
        done = run(folder, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    (entry,) = Card.load(folder / "releases/digits/1.0").engines
    assert entry.rejection is None
    return folder


@pytest.fixture(scope="module")
def fast(optimized: Path) -> Iterator[Server]:
    """Predictions and explanations by the same worker."""
    with Server(optimized, *PREDICT_ONLY) as running:
        yield running


def ask(server: Server, path: str, image: bytes) -> requests.Response:
    return requests.post(server.url + path, data=image, timeout=60)


def test_the_program_answers_and_the_network_is_not_even_loaded(fast: Server, digit: dict[str, bytes]) -> None:
    """Without the weights predictions go on; with them back, the first explanation loads them."""
    status = fast.instance.status()
    assert status is not None
    (weights,) = Path(status.temp).glob("models/*/weights.safetensors")
    away = weights.rename(weights.with_suffix(".away"))
    try:
        answer = ask(fast, "/predictions/digits", digit["3"])
        assert (answer.status_code, answer.headers["X-Model-Engine"]) == (200, "cpu-int8")
        assert ask(fast, "/explanations/digits", digit["3"]).status_code == 500
    finally:
        away.rename(weights)
    explained = ask(fast, "/explanations/digits", digit["3"])
    assert explained.status_code == 200
    assert explained.json()["predictions"][0]["label"] == "3"


def test_under_load_every_answer_is_the_programs_and_right(fast: Server, digit: dict[str, bytes]) -> None:
    asked = [label for _ in range(40) for label in digit]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda label: ask(fast, "/predictions/digits", digit[label]), asked))
    assert {(answer.status_code, answer.headers["X-Model-Engine"]) for answer in answers} == {(200, "cpu-int8")}
    alone = {label: ask(fast, "/predictions/digits", image).json()["predictions"] for label, image in digit.items()}
    for label, answer in zip(asked, answers, strict=True):
        found, wanted = answer.json()["predictions"], alone[label]
        assert [one["label"] for one in found] == [one["label"] for one in wanted]
        assert found[0]["probability"] == pytest.approx(wanted[0]["probability"], abs=1e-3)


def test_the_description_says_which_engine_answers(fast: Server) -> None:
    about = fast.describe("/models/digits?customized=true")[0]["customizedMetadata"]
    assert about["engine"] == {"name": "cpu-int8", "passed_over": {}}
    assert about["engines"][0]["quality"]["agreement"] >= 0.99
    assert "engine cpu-int8 answers, on cpu" in fast.log()
