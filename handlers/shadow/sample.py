"""A copy of one prediction with its answer, and its form on the socket.

A frame has a head of three lengths (big-endian uint32), then a JSON document, the request's body and the answer's body.
serving/rollout/shadow/samples.py reads it; a test compares both.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from handlers.protocols import Response
from handlers.request import RawRequest

HEAD = struct.Struct("!III")
# Headers that are not copied: TorchServe's token and marks, those of the connection, and those with which the proxy
# tells a worker about its own request.
NOT_COPIED = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "describe",
        "explain",
        "host",
        "transfer-encoding",
        "x-torchlight-deadline",
        "x-torchlight-heavy",
        "x-torchlight-movable",
        "x-torchlight-start",
    }
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A prediction and its answer.

    Attributes:
        headers: of the request, as the worker got them, without NOT_COPIED. Names are in lower case.
    """

    headers: Mapping[str, str]
    body: bytes | bytearray
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes

    @classmethod
    def of(cls, raw: RawRequest, response: Response) -> Sample | None:
        """Return the sample of a request with one body, as the proxy sends all; None for any other."""
        if len(raw.parts) != 1 or not isinstance(raw.parts[0].content, bytes | bytearray):
            return None
        headers = {name: value for name, value in raw.headers.items() if name not in NOT_COPIED}
        if raw.parts[0].content_type:
            headers.setdefault("content-type", raw.parts[0].content_type)
        return cls(headers, raw.parts[0].content, response.status.value, response.headers, response.body)

    @property
    def size(self) -> int:
        """Bytes of both bodies."""
        return len(self.body) + len(self.answer)

    def frame(self, dropped: int) -> list[bytes | bytearray]:
        """Return the pieces of the frame. The bodies are not copied.

        Args:
            dropped: samples that were dropped since the last frame.
        """
        document = orjson.dumps(
            {
                "headers": dict(self.headers),
                "status": self.status,
                "answer_headers": dict(self.answer_headers),
                "dropped": dropped,
            }
        )
        head = HEAD.pack(len(document), len(self.body), len(self.answer))
        return [head + document, self.body, self.answer]
