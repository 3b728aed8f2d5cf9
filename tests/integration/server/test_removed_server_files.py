"""The folder of a running server: the supervisor notices removed files, and other users can read no file."""

from __future__ import annotations

import shutil
from pathlib import Path

import requests

from tests.support.server import PREDICT_ONLY, Server


def test_a_server_whose_unpacked_models_are_removed_answers_what_it_has_and_ends(
    workspace: Path, digit: dict[str, bytes]
) -> None:
    """The workers would continue without their files, but a worker that ends could not be replaced."""
    with Server(workspace, *PREDICT_ONLY) as server:
        folder = server.instance.folder
        (manifest,) = folder.glob("tmp/models/*/MAR-INF/MANIFEST.json")
        shutil.rmtree(folder / "tmp" / "models")
        response = requests.post(f"{server.url}/predictions/digits", data=digit["9"], timeout=30)
        assert response.json()["predictions"][0]["label"] == "9"
        assert server.process.wait(30) == 1
        loss = f"{manifest} was removed while the server ran, maybe by a cleaner of temporary files"
        assert f"{loss}; stopping everything, start again with `torchlight serve`" in server.log()
        status = server.instance.status()
        assert status is not None
        assert (status.state, status.message.startswith(loss)) == ("failed", True)
        assert [path.name for path in folder.iterdir() if path.stat().st_mode & 0o077] == []
