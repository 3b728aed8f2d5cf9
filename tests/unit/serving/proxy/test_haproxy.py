from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from handlers.options import OPTIONS
from handlers.protocols import headers, v2
from serving.proxy import haproxy, routing, traffic_split
from serving.proxy.haproxy import ProxyConfig, Tokens
from serving.proxy.runtime_api import RuntimeApi
from serving.torchserve import executables
from tests.support.server import free_port

DEVELOPMENT = Tokens(inference="what-torchserve-wants")
TOKENS = Tokens(inference="what-torchserve-wants", public="what-clients-send")


def proxy(folder: Path, **settings: object) -> ProxyConfig:
    plain = ProxyConfig(
        host="127.0.0.1",
        port=8080,
        backend_port=8085,
        gateway_port=8083,
        web_port=8082,
        metrics_port=8088,
        map_file=folder / "versions.map",
        socket=Path(tempfile.gettempdir()) / "haproxy.sock",
        max_request_size=8_500_000,
        drain_seconds=60,
        tokens=DEVELOPMENT,
    )
    return dataclasses.replace(plain, **settings)  # type: ignore[arg-type]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def test_rendered_configuration_has_no_template_marks(tmp_path: Path) -> None:
    for tokens in (DEVELOPMENT, TOKENS):
        text = haproxy.render(proxy(tmp_path, tokens=tokens))
        assert not any(mark in text for mark in ("{{", "}}", "{%", "%}", "{#", "#}"))


def test_settings_are_rendered(tmp_path: Path) -> None:
    text = lines(haproxy.render(proxy(tmp_path, port=9000, backend_port=9005, threads=3, drain_seconds=7)))
    assert "bind 127.0.0.1:9000" in text
    assert "server torchserve 127.0.0.1:9005 maxconn 1024" in text
    assert "nbthread 3" in text
    assert "hard-stop-after 7s" in text


@pytest.mark.parametrize(
    ("host", "bind"), [("::1", "bind [::1]:8080"), ("::", "bind [::]:8080"), ("0.0.0.0", "bind 0.0.0.0:8080")]
)
def test_ipv6_address_stands_in_brackets(tmp_path: Path, host: str, bind: str) -> None:
    assert bind in lines(haproxy.render(proxy(tmp_path, host=host)))


@pytest.mark.parametrize("tokens", [DEVELOPMENT, TOKENS], ids=["development", "production"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
@pytest.mark.parametrize("explain_at_once", [0, 2])
def test_haproxy_accepts_the_configuration(tmp_path: Path, host: str, tokens: Tokens, explain_at_once: int) -> None:
    assert_accepted(proxy(tmp_path, host=host, tokens=tokens, explain_at_once=explain_at_once))


def test_haproxy_accepts_every_list_of_origins(tmp_path: Path) -> None:
    for origins in (
        ("*",),
        ("https://lab.example", "http://[::1]:3000"),
        tuple(f"https://{n}.example" for n in range(200)),
    ):
        assert_accepted(proxy(tmp_path, cors_origins=origins))


def test_pages_of_other_origins_read_nothing_without_origins(tmp_path: Path) -> None:
    assert "Access-Control-" not in haproxy.render(proxy(tmp_path))
    assert "Access-Control-" in haproxy.render(proxy(tmp_path, cors_origins=("https://lab.example",)))


def test_explanations_go_to_explain_workers_a_few_at_a_time(tmp_path: Path) -> None:
    own = haproxy.render(proxy(tmp_path, explain_at_once=2))
    assert '"%[var(txn.model)]-explain" if is_explanation' in own
    assert "server torchserve 127.0.0.1:8085 maxconn 2" in lines(own)


def test_explanations_go_to_predict_workers_without_explain_workers(tmp_path: Path) -> None:
    shared = haproxy.render(proxy(tmp_path, explain_at_once=0))
    assert ']-explain"' not in shared
    assert "acl has_heavy_workers int(0) gt 0" in lines(shared)
    explanations = shared.partition("\nbackend explanations")[2]
    assert "server torchserve 127.0.0.1:8085 maxconn 1024" in lines(explanations)


def test_haproxy_accepts_a_checkout_with_a_space_in_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "My Projects"
    folder.mkdir()
    assert_accepted(proxy(folder))


def assert_accepted(settings: ProxyConfig) -> None:
    settings.map_file.write_text("digits 1.0\ndigits/1.0 1.0\n", encoding="utf-8")
    (settings.map_file.parent / routing.UNBATCHED).touch()
    (settings.map_file.parent / routing.MODELS).write_text("models []\n", encoding="utf-8")
    (settings.map_file.parent / routing.HEALTH).touch()
    (settings.map_file.parent / traffic_split.FILE_NAME).touch()
    config = settings.map_file.parent / "haproxy.cfg"
    config.write_text(haproxy.render(settings), encoding="utf-8")
    done = subprocess.run([executables.haproxy(), "-c", "-f", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_rendered_configuration_has_only_the_digest_of_the_clients_token(tmp_path: Path) -> None:
    text = haproxy.render(proxy(tmp_path, tokens=TOKENS))
    assert "what-clients-send" not in text
    assert hashlib.sha256(b"what-clients-send").hexdigest().upper() in text
    assert text.count("what-torchserve-wants") == 2  # for requests of clients, and for copies of them


def test_development_needs_no_token(tmp_path: Path) -> None:
    text = haproxy.render(proxy(tmp_path))
    assert "401" not in text
    assert 'http-request set-header Authorization "Bearer what-torchserve-wants" if to_model' in lines(text)


def test_forwarded_headers_are_those_that_the_handler_reads(tmp_path: Path) -> None:
    allowed = re.compile(f"^({'|'.join(haproxy.FORWARDED_HEADERS)})$")
    read = [option.header for option in OPTIONS] + [v2.LENGTH_HEADER, headers.ATTRIBUTES_HEADER, "Accept"]
    assert [name for name in read if not allowed.match(name.lower())] == []
    refused = (
        "explain",
        "describe",
        "x-torchlight-query",
        "connection",
        "upgrade",
        "te",
        "trailer",
        "expect",
        "cookie",
    )
    assert [name for name in refused if allowed.match(name)] == []
    rule = f"http-request del-header ^(?!({'|'.join(haproxy.FORWARDED_HEADERS)})$) -m reg if to_model"
    assert rule in lines(haproxy.render(proxy(tmp_path)))


def test_each_backend_that_leads_to_torchserve_keeps_the_connections_of_clients_apart(tmp_path: Path) -> None:
    text = haproxy.render(proxy(tmp_path, explain_at_once=2))
    sections = re.split(r"\n(?=(?:defaults|frontend|backend|global)\b)", text)
    leading = [section for section in sections if "    server torchserve " in section]
    assert len(leading) >= 5
    apart = [section for section in leading if "from answered" in section or "http-reuse never" in section]
    assert apart == leading
    assert "    http-reuse never\n" in next(section for section in sections if section.startswith("defaults answered"))


def test_start_keeps_the_splits_of_registered_candidates(tmp_path: Path) -> None:
    port = free_port()
    settings = proxy(
        tmp_path,
        port=port,
        metrics_port=port + 8,
        map_file=Path(routing.FILE_NAME),
        socket=Path(tempfile.mkdtemp()) / "haproxy.sock",
    )
    splits = tmp_path / traffic_split.FILE_NAME
    splits.write_text("digits 2.0:500:none:0\npets 4:100:none:0\n", encoding="utf-8")
    versions = "digits 1.0\ndigits/1.0 1.0\ndigits/2.0 2.0\n"
    process = haproxy.spawn(executables.haproxy(), settings, tmp_path, versions, lambda line: None)
    try:
        haproxy.await_open(settings, process)
        assert RuntimeApi(settings.socket).entries(splits.name) == {"digits": "2.0:500:none:0"}
        assert splits.read_text(encoding="utf-8") == "digits 2.0:500:none:0\n"
    finally:
        process.kill()
        process.wait()
