"""Origins whose pages may read answers: what is an origin, and what a browser's page may send and read."""

from __future__ import annotations

import re

import pytest

from handlers.options import OPTIONS
from handlers.protocols import headers, v2
from serving.errors import ConfigError
from serving.proxy import cors
from serving.proxy.haproxy import TEMPLATE


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("  ", ()),
        ("*", ("*",)),
        ("https://lab.example", ("https://lab.example",)),
        ("https://a.example, http://localhost:3000", ("https://a.example", "http://localhost:3000")),
        ("HTTPS://Lab.Example", ("https://lab.example",)),
        ("https://a.example:443,http://a.example:80", ("https://a.example", "http://a.example")),
        ("https://a.example:80", ("https://a.example:80",)),
        ("https://a.example,https://a.example", ("https://a.example",)),
        ("http://[::1]:3000,http://[::1]", ("http://[::1]:3000", "http://[::1]")),
        ("http://my_app:3000", ("http://my_app:3000",)),
        ("capacitor://localhost", ("capacitor://localhost",)),
        ("https://xn--mller-kva.example", ("https://xn--mller-kva.example",)),
    ],
)
def test_origins_are_read_as_browsers_write_them(text: str, origins: tuple[str, ...]) -> None:
    assert cors.parse(text) == origins


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lab.example", "has no scheme"),
        ("//lab.example", "has no scheme"),
        ("https:lab.example", "has no scheme"),
        ("https://lab.example/", "has a path"),
        ("https://lab.example/app", "has a path"),
        ("https://lab.example?x", "has a path, query"),
        ("https://lab.example#x", "has a path, query, fragment"),
        ("https://me@lab.example", "or user"),
        ('"https://lab.example"', "has characters"),
        ("'https://lab.example'", "has characters"),
        ("https://lab.example https://b.example", "has characters"),
        ("https://lab.example\nbind *:1", "has characters"),
        ("https://lab.example\0", "has characters"),
        ("https://müller.example", "Punycode"),
        ("https://{{host}}", "has characters"),
        ("https://%[env(HOME)]", "has the host"),
        ("https://*.lab.example", "has the host"),
        ("https://$HOME", "has the host"),
        ("https://", "has the host"),
        ("https://lab.example:", "has the host"),
        ("https://lab.example:port", "has the host|has a port"),
        ("https://lab.example:70000", "has a port"),
        ("https://[::1", "has the host"),
        ("https://-lab.example", "has the host"),
        ("1http://lab.example", "has the scheme"),
        ("null", "sandboxed page"),
        ("https://a.example,", "has no scheme"),
        ("*,https://a.example", "give it alone"),
    ],
)
def test_invalid_origin_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        cors.parse(text)
    assert "CORS_ORIGINS" in str(refused.value)


def test_page_may_send_every_header_that_is_read() -> None:
    read = {option.header for option in OPTIONS} | {v2.LENGTH_HEADER, "Authorization", "Content-Type"}
    template = TEMPLATE.read_text(encoding="utf-8")
    read |= set(re.findall(r"req\.f?hdr\((X-[\w-]+)\)", template))
    sent = {name.lower() for name in cors.REQUEST_HEADERS}
    assert sent == {name.lower() for name in read} - {"x-torchlight-deadline", "x-torchlight-heavy"}
    assert headers.ATTRIBUTES_HEADER in sent
