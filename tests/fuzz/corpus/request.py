"""One request that a server has to refuse and survive, and which answers it may get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")

MODEL = "digits"
VERSION = "1.0"

# What may come back. 408, 429 and the like are no answers to a bad request, so 4xx is spelt out.
BAD = frozenset({400, 413, 415, 422})
NOWHERE = frozenset({400, 404, 405, 414})
OK = frozenset({200})
EITHER = BAD | OK
# Status 0 stands for a connection that was closed without an answer.
HUNG_UP = frozenset({0})

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request as it goes over the wire. Text of paths and headers is sent as Latin-1, so any byte can be said.

    `case` is the way in which it is bad, within its family; `family`, `seed` and `number` are enough to make it again.
    """

    case: str
    path: str
    headers: Headers
    body: bytes
    accepted: frozenset[int] = BAD
    method: str = "POST"
    version: str = "HTTP/1.1"
    may_be_unreadable: bool = False
    """Whether HAProxy may not even be able to parse it: it then answers before any rule could shape the answer."""
    family: str = ""
    seed: int = 0
    number: int = 0

    @property
    def is_readable(self) -> bool:
        """Whether it is HTTP in every respect. A target of other than visible ASCII, or with a fragment, is not."""
        return not self.may_be_unreadable and all("!" <= letter <= "~" and letter != "#" for letter in self.path)

    def wire(self) -> bytes:
        """The bytes to send. Host and Content-Length are added where the headers do not speak of them."""
        names = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if "host" not in names:
            headers.insert(0, ("Host", "torchlight"))
        if not names & {"content-length", "transfer-encoding"}:
            headers.append(("Content-Length", str(len(self.body))))
        lines = [f"{self.method} {self.path} {self.version}", *(f"{name}: {value}" for name, value in headers), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body

    def __str__(self) -> str:
        return f"{self.family} (seed {self.seed}, number {self.number}): {self.case}, {self.method} {self.path[:80]}"


Family = Callable[[Random, int], WireRequest]
"""Makes one request. The second argument counts the family's requests, so that its cases take turns."""


def in_turn(cases: Sequence[T], turn: int) -> T:
    """The case whose turn it is: every case comes before any comes again."""
    return cases[turn % len(cases)]
