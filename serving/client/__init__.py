"""HTTP clients of a running server: the synchronous `Client` (requests) and the `AsyncClient` (httpx).

    from serving.client import Client

    with Client("http://127.0.0.1:8080") as client:
        print(client.predict("digits", "samples/3.png").best.label)                 # 3
        for prediction in client.predict("digits", ["samples/1.png", "samples/2.png"]):  # one request, in order
            print(prediction.best.label, prediction.best.probability)
        Path("why.png").write_bytes(client.explain("digits", "samples/3.png", target=8).overlay_png)

`calls.py` builds the requests, `images.py` their bodies. `responses.py` parses the responses, `failures.py` has a
sentence for each failure, `retry.py` decides which requests are sent again, and when. `sync.py` and `asynchronous.py`
only send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.client.images import ImageLike, read_image
from serving.client.responses import Class, Completeness, Explanation, OodScore, Prediction, Target
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
    "OodScore",
    "Prediction",
    "Target",
    "read_image",
]


def __getattr__(name: str) -> Any:
    """Import AsyncClient at its first use, so that the synchronous client does not need httpx."""
    if name == "AsyncClient":
        from serving.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
