from __future__ import annotations

import gzip

import pytest

from serving.web import documents, wsgi
from serving.web.documents import accepts_gzip, names_tag
from tests.unit.serving.web.wsgi_client import call

CONTENT = b'{"openapi": "3.1.0"}' * 100
MOUNTED = wsgi.mount({"/openapi.json": documents.application(CONTENT, "application/json")})
PATH = "/openapi.json"


def test_document_is_answered_as_it_is() -> None:
    answer = call(MOUNTED, PATH)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "no-cache"
    assert "content-encoding" not in answer.headers


def test_compressed_document_has_the_same_content() -> None:
    answer = call(MOUNTED, PATH, accept_encoding="gzip, deflate")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert gzip.decompress(answer.body) == CONTENT
    assert len(answer.body) < len(CONTENT)


def test_document_is_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(gzip, "compress")
    assert gzip.decompress(call(MOUNTED, PATH, accept_encoding="gzip").body) == CONTENT


@pytest.mark.parametrize("coding", ["gzip", "identity"])
def test_current_document_is_answered_304(coding: str) -> None:
    got = call(MOUNTED, PATH, accept_encoding=coding)
    for tag in (got.headers["etag"], f"W/{got.headers['etag']}", f'"other", {got.headers["etag"]}', "*"):
        for method in ("GET", "HEAD"):
            answer = call(MOUNTED, PATH, method, accept_encoding=coding, if_none_match=tag)
            assert (answer.status, answer.body) == (304, b"")
            for name in ("etag", "vary", "cache-control", "content-length"):
                assert answer.headers[name] == got.headers[name]


def test_tag_of_another_coding_or_document_is_answered_200() -> None:
    plain, compressed = (call(MOUNTED, PATH, accept_encoding=coding).headers["etag"] for coding in ("", "gzip"))
    assert plain != compressed
    assert call(MOUNTED, PATH, accept_encoding="gzip", if_none_match=plain).status == 200
    changed = documents.application(CONTENT + b"\n", "application/json")
    assert call(changed, PATH, if_none_match=plain).status == 200


def test_head_has_the_headers_of_get() -> None:
    for coding in ("", "gzip"):
        head = call(MOUNTED, PATH, "HEAD", accept_encoding=coding)
        assert (head.status, head.body) == (200, b"")
        assert head.headers == call(MOUNTED, PATH, accept_encoding=coding).headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("*", True),
        ("br, gzip;q=0.5", True),
        ("gzip ; q = 0.001", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000, *", False),
        ("identity", False),
        ("identity, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("*;q=0", False),
        ("br", False),
        ("gzip;q=x", False),
        ("gzip;level=9", False),
    ],
)
def test_accept_encoding_allows_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip(header) == accepted


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        (" * ", True),
        ("", False),
        ("a", False),
        ('"b"', False),
        ('"ab"', False),
    ],
)
def test_if_none_match_names_a_tag(header: str, named: bool) -> None:
    assert names_tag(header, '"a"') == named
