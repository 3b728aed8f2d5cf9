"""What a server is asked, and the answers that it must give again under load."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from benchmarks.compare.systems import Request

TIMEOUT = 60
# Of a probability, from what the same server answered when it was idle: batches of another size move float32 by far
# less, and int8 by about as much.
TOLERANCE = 0.005
# Of the top classes, how many must be those of the network itself. int8 and another resize move a few.
AGREEMENT = 0.9
# Instead of a class, where an answer has none: the number beside it is the first in the answer, whatever it is.
NO_CLASS = -1
Answer = Callable[[bytes], tuple[int, float]]


class WrongAnswer(ValueError):
    """A fast wrong answer is worth nothing; the message says what was answered."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request about one image, and what it was answered: the top class and its probability."""

    request: Request
    index: int
    probability: float


def ask(
    url: str, images: Sequence[bytes], request: Callable[[bytes], Request], answer: Answer, expected: Sequence[int] = ()
) -> list[Question]:
    """Ask an idle server about each image once.

    Args:
        expected: the classes that the network itself says, in the order of the images; empty: they are not known.

    Raises:
        WrongAnswer: it refuses one, or agrees with too few of these.
    """
    found = []
    with requests.Session() as session:
        for image in images:
            asked = request(image)
            got = session.post(url + asked.path, data=asked.body, headers=asked.headers, timeout=TIMEOUT)
            if got.status_code != 200:
                raise WrongAnswer(f"{asked.path} answered {got.status_code}: {got.text[:200]}")
            found.append(Question(asked, *answer(got.content)))
    if expected and found[0].index != NO_CLASS:
        right = sum(question.index == index for question, index in zip(found, expected, strict=True))
        if right < AGREEMENT * len(images):
            raise WrongAnswer(f"{right} of {len(images)} images were answered as the network itself answers them")
    return found


def plan(questions: Sequence[Question], folder: Path) -> Path:
    """Write them as wrk.lua reads them; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for place, question in enumerate(questions):
        body = folder / f"{place}.body"
        body.write_bytes(question.request.body)
        headers = ", ".join(f"[{_lua(name)}] = {_lua(value)}" for name, value in question.request.headers.items())
        entries.append(
            f"  {{path = {_lua(question.request.path)}, headers = {{{headers}}}, body = {_lua(str(body))}, "
            f"index = {question.index}, probability = {question.probability!r}}},"
        )
    path = folder / "plan.lua"
    path.write_text("\n".join(["return {", f"  tolerance = {TOLERANCE},", *entries, "}", ""]), encoding="utf-8")
    return path


def _lua(text: str) -> str:
    """A string of Lua 5.1; printable ASCII alone, whose escapes are JSON's."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"{text!r} cannot stand in a request's path or headers: printable ASCII alone can")
    return json.dumps(text)
