"""Asking a running server over HTTP, as `make predict` and `make explain` do."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import requests

from serving.errors import ClientError

TIMEOUT_SECONDS = 60


def read_image(path: str) -> bytes:
    """The bytes of an image file.

    Raises:
        ClientError: it is a URL or a folder, or cannot be read.
    """
    if "://" in path:
        raise ClientError(
            f"IMAGE is a URL ({path:.80}): nothing is fetched from the network; download it, give the file"
        )
    if Path(path).is_dir():
        raise ClientError(f"IMAGE is a folder ({path}): give one image file, such as samples/3.png")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClientError(f"IMAGE {path}: {error.strerror}; give an image file, such as samples/3.png") from None


class Client:
    """One server, by the URL of its front door."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def predict(self, model: str, image: bytes, version: str | None = None, **options: str) -> dict[str, Any]:
        """`POST /predictions/<model>` with one encoded image; `options` such as top_k go into the query.

        Raises:
            ClientError: no answer, or one that is an error; the message is the server's.
        """
        return self._post("predictions", model, image, version, options)

    def explain(self, model: str, image: bytes, version: str | None = None, **options: str) -> dict[str, Any]:
        """`POST /explanations/<model>` with one encoded image; `overlay_png` in the answer becomes bytes.

        Raises:
            ClientError: no answer, or one that is an error; the message is the server's.
        """
        answer = self._post("explanations", model, image, version, options)
        answer["overlay_png"] = base64.b64decode(answer["overlay_png"])
        return answer

    def _post(
        self, verb: str, model: str, image: bytes, version: str | None, options: dict[str, str]
    ) -> dict[str, Any]:
        url = f"{self._url}/{verb}/{model}" + (f"/{version}" if version else "")
        headers = {**self._headers, "Content-Type": "application/octet-stream"}
        try:
            answer = requests.post(url, data=image, params=options, headers=headers, timeout=TIMEOUT_SECONDS)
        except requests.ConnectionError:
            raise ClientError(f"nothing answers at {self._url}: start a server with `make serve`") from None
        except requests.Timeout:
            raise ClientError(f"no answer from {url} within {TIMEOUT_SECONDS} s") from None
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise ClientError(f"{url} answered {answer.status_code} with no JSON object: is it a Torchlight server?")
        if answer.status_code != 200:
            raise ClientError(f"{answer.status_code} {body.get('type')}: {body.get('message')}")
        return body
