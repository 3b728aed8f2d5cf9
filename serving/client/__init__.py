"""Asking a running server over HTTP: the synchronous `Client` (requests) and the `AsyncClient` (httpx).

    from serving.client import Client

    with Client("http://127.0.0.1:8080") as client:
        print(client.predict("digits", "samples/3.png").best.label)                 # 3
        for answer in client.predict("digits", ["samples/1.png", "samples/2.png"]):  # one request, answers in order
            print(answer.best.label, answer.best.probability)
        Path("why.png").write_bytes(client.explain("digits", "samples/3.png", target=8).overlay_png)

`calls.py` builds the requests, `images.py` their bodies, `answers.py` reads what comes back, `failures.py` has a
sentence for each way to fail, `retry.py` says what is sent again and when; `sync.py` and `asynchronous.py` only send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.client.answers import Class, Completeness, Explanation, Prediction, Strangeness, Target
from serving.client.images import ImageLike, read_image
from serving.client.sync import Client

if TYPE_CHECKING:
    from serving.client.asynchronous import AsyncClient

__all__ = [
    "AsyncClient",
    "Class",
    "Client",
    "Completeness",
    "Explanation",
    "ImageLike",
    "Prediction",
    "Strangeness",
    "Target",
    "read_image",
]


def __getattr__(name: str) -> Any:
    """AsyncClient when it is asked for, so that the synchronous client needs no httpx."""
    if name == "AsyncClient":
        from serving.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
