"""Reference requests: one for each image, with the response of the idle server, which must not change under load."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.compare.systems import Request

TIMEOUT = 60
# Allowed difference of a probability from that of the idle server. A batch of another size changes float32 results by
# far less than this, and int8 results by about as much.
TOLERANCE = 0.005
# Share of the top classes that must be those of the network itself. int8 and another resize change a few.
AGREEMENT = 0.9
# Class index of a response without classes. Its "probability" is the first number of the response.
NO_CLASS = -1
ParseResponse = Callable[[bytes], tuple[int, float]]


class WrongResponse(ValueError):
    """A response that does not count, however fast it is. The message quotes it."""


@dataclass(frozen=True, slots=True)
class ReferenceRequest:
    """A request about one image, and the idle server's response: the top class and its probability."""

    request: Request
    index: int
    probability: float


def record(
    url: str,
    images: Sequence[bytes],
    request: Callable[[bytes], Request],
    parse: ParseResponse,
    expected: Sequence[int] = (),
) -> list[ReferenceRequest]:
    """Send each image once to an idle server, and return the reference requests.

    Args:
        url: base URL of the server.
        images: encoded images.
        request: makes the request for an image.
        parse: reads top class and probability from the body of a response.
        expected: top classes of the network itself, in the order of the images; empty: no check.

    Raises:
        WrongResponse: the server refuses an image, or agrees with too few of the expected classes.
    """
    references = []
    with requests.Session() as session:
        for image in images:
            post = request(image)
            response = session.post(url + post.path, data=post.body, headers=post.headers, timeout=TIMEOUT)
            if response.status_code != 200:
                raise WrongResponse(f"{post.path} responded with {response.status_code}: {response.text[:200]}")
            references.append(ReferenceRequest(post, *parse(response.content)))
    if expected and references[0].index != NO_CLASS:
        correct = sum(reference.index == index for reference, index in zip(references, expected, strict=True))
        if correct < AGREEMENT * len(images):
            raise WrongResponse(f"{correct} of {len(images)} images got the class that the network itself gives")
    return references


def write_plan(references: Sequence[ReferenceRequest], folder: Path) -> Path:
    """Write the requests as a Lua file for wrk.lua, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, reference in enumerate(references):
        body = folder / f"{number}.body"
        body.write_bytes(reference.request.body)
        headers = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in reference.request.headers.items())
        entries.append(
            f"  {{path = {_lua(reference.request.path)}, headers = {{{headers}}}, body = {_lua(str(body))}, "
            f"index = {reference.index}, probability = {reference.probability!r}}},"
        )
    path = folder / "plan.lua"
    path.write_text("\n".join(["return {", f"  tolerance = {TOLERANCE},", *entries, "}", ""]), encoding="utf-8")
    return path


def _lua(text: str) -> str:
    """Return a string of Lua 5.1. Only printable ASCII is allowed, where escapes are those of JSON."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{text!r} is not allowed in a path or a header: use printable ASCII")
    return json.dumps(text)
