"""The limits of a request, as an archive's model-config.yaml sets them, in a real worker."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.integration.http.test_http import failed
from tests.support.server import Server, run

CONFIG = """
handler:
  limits: {max_bytes: 20000, max_pixels: 10000, max_images: 3, max_request_pixels: 29000, max_answer_bytes: 50000}
"""


@pytest.fixture(scope="module")
def strict(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose archive allows little."""
    folder = tmp_path_factory.mktemp("strict")
    shutil.copytree(workspace / "releases", folder / "releases")
    (folder / "config.yaml").write_text(CONFIG)
    done = run(folder, "scripts.archive", "--config", "config.yaml")
    assert done.returncode == 0, done.stderr
    with Server(folder) as server:
        yield server


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height), 200).save(buffer, "PNG")
    return buffer.getvalue()


def post(server: Server, *images: bytes, verb: str = "predictions") -> requests.Response:
    files = [("image", image) for image in images]
    return requests.post(f"{server.url}/{verb}/digits", files=files, timeout=30)


def test_each_limit_refuses_with_its_own_type_and_value(strict: Server, digit: dict[str, bytes]) -> None:
    assert post(strict, png(100, 100)).status_code == 200
    for answer, kind, value in (
        (post(strict, digit["1"] + b"\0" * 20_000), "ImageTooLarge", "20,000"),
        (post(strict, png(100, 101)), "ImageTooLarge", "10,000"),
        (post(strict, *[png(100, 100)] * 3), "ImageTooLarge", "29,000"),
        (post(strict, *[digit["1"]] * 4), "TooManyImages", "at most 3"),
    ):
        assert failed(answer) == (413, kind)
        assert value in answer.json()["message"]


def test_an_answer_that_is_too_large_is_refused_and_the_worker_lives(strict: Server, digit: dict[str, bytes]) -> None:
    workers = strict.workers()
    answer = post(strict, digit["1"], digit["2"], digit["3"], verb="explanations")
    assert failed(answer) == (413, "ResponseTooLarge")
    assert "50,000" in answer.json()["message"]
    assert post(strict, digit["1"]).status_code == 200
    assert strict.workers() == workers
