"""Calls to a WSGI application without a server. wsgiref's validator checks both sides against PEP 3333."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

from serving.web.wsgi import Application


@dataclass(frozen=True)
class Answer:
    """The response of an application; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def call(application: Application, path: str, method: str = "GET", **headers: str) -> Answer:
    """Send one request, with headers such as `if_none_match`."""
    environment: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "REQUEST_METHOD": method, "QUERY_STRING": ""}
    environment |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    setup_testing_defaults(environment)
    started: list[Any] = []

    def start_response(status: str, sent: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.extend([status, sent])
        return lambda data: None

    answer = validator(application)(environment, start_response)
    try:
        body = b"".join(answer)
    finally:
        answer.close()
    status, sent = started
    return Answer(int(status[:3]), {name.lower(): value for name, value in sent}, body)
