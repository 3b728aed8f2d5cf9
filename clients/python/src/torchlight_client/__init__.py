"""Client of a Torchlight server: the synchronous `Client` and the asynchronous `AsyncClient`.

    from torchlight_client import Client

    with Client("http://127.0.0.1:8080") as client:
        print(client.predict("digits", "samples/3.png").best.label)                 # 3
        for prediction in client.predict("digits", ["samples/1.png", "samples/2.png"]):  # one request, in order
            print(prediction.best.label, prediction.best.probability)
        Path("why.png").write_bytes(client.explain("digits", "samples/3.png", target=8).overlay_png)

`calls.py` builds the requests, `images.py` their bodies. `responses.py` and `heat_map.py` parse the responses.
`errors.py` has the errors, `failures.py` their sentences. `retry.py` decides which requests are sent again, and when.
`sync.py` and `asynchronous.py` only send; `transport.py` has what they share.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from torchlight_client.errors import (
    BrokenConnection,
    ErrorResponse,
    InvalidArgument,
    InvalidResponse,
    NoServer,
    Rejected,
    ServerFailed,
    TimedOut,
    TlsFailed,
    TorchlightError,
)
from torchlight_client.images import ImageLike, read_image
from torchlight_client.responses import Class, Completeness, Explanation, OodScore, Prediction, Target

if TYPE_CHECKING:
    from torchlight_client.asynchronous import AsyncClient
    from torchlight_client.sync import Client

__version__ = "0.1.0"
__all__ = [
    "AsyncClient",
    "BrokenConnection",
    "Class",
    "Client",
    "Completeness",
    "ErrorResponse",
    "Explanation",
    "ImageLike",
    "InvalidArgument",
    "InvalidResponse",
    "NoServer",
    "OodScore",
    "Prediction",
    "Rejected",
    "ServerFailed",
    "Target",
    "TimedOut",
    "TlsFailed",
    "TorchlightError",
    "read_image",
]
_CLIENT_MODULES = {"Client": "torchlight_client.sync", "AsyncClient": "torchlight_client.asynchronous"}


def __getattr__(name: str) -> Any:
    """Import a client at its first use. So a program that only handles the errors does not load httpx."""
    if name in _CLIENT_MODULES:
        return getattr(import_module(_CLIENT_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
