"""A bad request, and the statuses that a server may respond with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")

MODEL = "digits"
VERSION = "1.0"

# Accepted statuses. 408, 429 and the like do not fit a bad request, so the list names each 4xx.
REFUSED = frozenset({400, 413, 415, 422})
NO_ROUTE = frozenset({400, 404, 405, 414})
OK = frozenset({200})
REFUSED_OR_OK = REFUSED | OK
# Status 0: the connection was closed without a response.
CLOSED = frozenset({0})

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FuzzRequest:
    """A request. Paths and headers are sent as Latin-1, so they can hold any byte.

    Attributes:
        case: what is wrong with it, within its family.
        accepted: statuses that the server may respond with.
        may_be_unparsable: HAProxy may be unable to parse it. Then it responds before any rule can shape the response.
        family, seed, number: enough to make the request again.
    """

    case: str
    path: str
    headers: Headers
    body: bytes
    accepted: frozenset[int] = REFUSED
    method: str = "POST"
    version: str = "HTTP/1.1"
    may_be_unparsable: bool = False
    family: str = ""
    seed: int = 0
    number: int = 0

    @property
    def is_well_formed(self) -> bool:
        """Return whether it is valid HTTP. A target with a fragment, or with other than visible ASCII, is not."""
        return not self.may_be_unparsable and all("!" <= letter <= "~" and letter != "#" for letter in self.path)

    def to_bytes(self) -> bytes:
        """Return the bytes to send. Host and Content-Length are added if the headers lack them."""
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


Family = Callable[[Random, int], FuzzRequest]
"""Makes one request. The second argument counts the requests of the family, to cycle through its cases."""


def pick_case(cases: Sequence[T], index: int) -> T:
    """Return the case at an index that counts on beyond the last case. Cases repeat in order."""
    return cases[index % len(cases)]
