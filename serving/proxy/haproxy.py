"""The proxy: HAProxy's configuration, rendered for one launch, and its process."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from serving import VERSION
from serving.errors import StartError
from serving.proxy import cors, open_files, readiness, routing
from serving.runtime import atomic_files, processes
from serving.torchserve import worker_roles
from serving.torchserve.worker_roles import Role

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "haproxy" / "haproxy.cfg.template"
# Rules of the template that production adds.
TOKEN_TEMPLATE = TEMPLATE.with_name("token.cfg.template")
UPLOAD_FILTER = ROOT / "deploy" / "haproxy" / "upload_time.lua"
OPENAPI = ROOT / "deploy" / "openapi.json"

# The way back in for explanations with a deadline: a socket beside that of the runtime API.
AGAIN = "again.sock"
# The way to the workers for heavy predictions, of those that an ordinary worker hands on.
MOVING = "moving.sock"
# Predictions of more bytes are heavy.
LARGE_BYTES = 1_000_000
# So many fit into a buffer of HAProxy's (tune.bufsize) beside their headers, and can be sent twice.
MOVABLE_BYTES = 48_000
# Milliseconds of work: less is light. In 10 s, one source may take so many at the ordinary workers.
LIGHT_MS = 10
VERY_HEAVY_MS = 100
SHARE_MS = 2_000
# Requests that a server whose queue is TorchServe's own is sent at once.
AT_ONCE = 1024
# Explanations that may wait; as many as TorchServe's own queue takes unless an archive says otherwise.
MOST_WAITING = 200
# An explanation with a shorter deadline still waits so long: its worker then says what it would need.
LEAST_WAIT_MS = 40
# Of a deadline, what its 504 needs to get back. Workers keep as much for their answers.
RESERVE_MS = 8

# Longer than the idle timeouts of load balancers (AWS ALB, nginx: 60 s), which would otherwise send a request into a
# connection that is just being closed.
KEEP_ALIVE_SECONDS = 75
MAX_KEEP_ALIVE_SECONDS = 3600
# After an unbatched worker broke a request, it gets none for this long.
UNBATCHED_PAUSE_SECONDS = 30
# Connections from all clients together; each takes two file descriptors while its request is being answered.
MAX_CONNECTIONS = 8192
# Connections from one address: this share of them. A reverse proxy in front is one address too.
SHARE_OF_ONE_SOURCE = 2
# Seconds until a body has arrived: what fits into HAProxy's buffer, and all of it.
FIRST_BODY_SECONDS = 20
UPLOAD_SECONDS = 60
# Wrong or missing tokens from one address, in so many seconds, that are answered 401; more are answered 429.
WRONG_TOKENS = 20
WRONG_TOKEN_SECONDS = 10
# The headers of a client that TorchServe gets, as regular expressions: those that the handler reads, and those that
# frame the body, which HAProxy writes anew. Authorization holds TorchServe's own token by then.
FORWARDED_HEADERS = (
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "inference-header-content-length",
    "transfer-encoding",
    "x-amzn-sagemaker-custom-attributes",
    "x-contrast",
    "x-explain-[a-z]+",
    "x-target",
    "x-timing",
    "x-top-k",
)

START_SECONDS = 10
# Its log has a line for each request; they are passed on together.
GATHER_SECONDS = 0.05

_LINE = re.compile(
    r'^ +(?P<rule>refuse|refuse-answer|refuse-failure) (?P<status>\d{3}) (?P<type>\w+) "(?P<message>.*)"'
    r"(?: \[(?P<header>[^]]*)\])?(?P<when>(?: (?:if|unless) .*)?)$",
    re.MULTILINE,
)

# As it was asked: the path has been changed by the time TorchServe answers.
IN_KSERVE = "{ var(txn.asked) -m beg /v1/ /v2/ }"
# TorchServe wants its own token from everybody; no client ever sees it.
_KEY = '    http-request set-header Authorization "Bearer {key}" unless is_grpc'
# A browser names the origin of the page that sends a POST, and a page cannot leave that out. Without a token, any page
# that the user opens could send images. `txn.origin` is one that CORS_ORIGINS allows.
_CROSS_SITE = """\
    acl from_a_page req.hdr(Origin) -m found
    acl from_a_page req.hdr(Sec-Fetch-Site) -m str cross-site same-site
    refuse 403 CrossSite "a web page sent this: allow its origin with CORS_ORIGINS, or serve with \
MODE=production" if sends_image from_a_page !{ method OPTIONS } !{ var(txn.origin) -m found }
"""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that HAProxy checks and sends.

    Attributes:
        inference: what TorchServe wants from the proxy.
        public: what clients must send; None, in development, asks for nothing.
    """

    inference: str
    public: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The settings of one proxy.

    Attributes:
        backend_port: TorchServe's inference port on loopback.
        gateway_port: that of the gRPC gateway, on loopback.
        max_connections: connections from all clients together; one address may have half of them.
        keep_alive_seconds: how long a connection may wait for its next request.
        only_model: whom /invocations means, which names no model; empty where there are several.
        explain_at_once: explanations that TorchServe is sent at once, the others wait in order of their deadlines; 0
            sends them to the workers that predict.
        cors_origins: origins whose pages may read the answers; empty for none.
    """

    host: str
    port: int
    backend_port: int
    gateway_port: int
    map_file: Path
    socket: Path
    max_request_size: int
    drain_seconds: int
    tokens: Tokens
    threads: int = 1
    max_connections: int = MAX_CONNECTIONS
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS
    only_model: str = ""
    explain_at_once: int = 0
    cors_origins: tuple[str, ...] = ()


def render(proxy: ProxyConfig) -> str:
    """The text of haproxy.cfg."""
    values = {
        "host": f"[{proxy.host}]" if ":" in proxy.host else proxy.host,
        "port": proxy.port,
        "backend": f"127.0.0.1:{proxy.backend_port}",
        "gateway": f"127.0.0.1:{proxy.gateway_port}",
        "only_model": proxy.only_model,
        "openapi": _escaped(OPENAPI),
        "version": VERSION,
        "map": _escaped(proxy.map_file),
        "models": _escaped(proxy.map_file.with_name(routing.MODELS)),
        "cors": cors.rules(proxy.cors_origins),
        "unbatched_map": _escaped(proxy.map_file.with_name(routing.UNBATCHED)),
        "health": _escaped(proxy.map_file.with_name(routing.HEALTH)),
        "heartbeat_seconds": readiness.HEARTBEAT_TIMEOUT_SECONDS,
        "unbatched": Role.UNBATCHED.suffix,
        "unbatched_pause": UNBATCHED_PAUSE_SECONDS,
        "socket": _escaped(proxy.socket),
        "max_request_size": proxy.max_request_size,
        "drain_seconds": proxy.drain_seconds,
        "threads": proxy.threads,
        "max_connections": proxy.max_connections,
        "connections_per_source": max(1, proxy.max_connections // SHARE_OF_ONE_SOURCE),
        "keep_alive_seconds": proxy.keep_alive_seconds,
        "first_body_seconds": FIRST_BODY_SECONDS,
        "upload_seconds": UPLOAD_SECONDS,
        "upload_filter": _escaped(UPLOAD_FILTER),
        "wrong_token_seconds": WRONG_TOKEN_SECONDS,
        "forwarded_headers": "|".join(FORWARDED_HEADERS),
        "authorization": _authorization(proxy.tokens),
        "explain": worker_roles.explaining_role(proxy.explain_at_once).suffix,
        "explain_at_once": proxy.explain_at_once or AT_ONCE,
        "at_once": AT_ONCE,
        "most_waiting": MOST_WAITING,
        "least_wait_ms": LEAST_WAIT_MS,
        "reserve_ms": RESERVE_MS,
        "moving": _escaped(proxy.socket.parent / MOVING),
        "heavy_at_once": proxy.explain_at_once,
        "very_heavy_ms": VERY_HEAVY_MS,
        "light_ms": LIGHT_MS,
        "share_ms": SHARE_MS,
        "large_bytes": LARGE_BYTES,
        "movable_bytes": MOVABLE_BYTES,
        "again": _escaped(proxy.socket.parent / AGAIN),
    }
    return _LINE.sub(_refusal, _filled(TEMPLATE, values))


def spawn(
    program: Path, proxy: ProxyConfig, folder: Path, versions: str, say: Callable[[str], None]
) -> subprocess.Popen[bytes]:
    """Start HAProxy in a folder that gets its configuration and its maps; `versions` is the text of that of versions.

    Raises:
        StartError: HAProxy refuses the configuration.
    """
    atomic_files.write(folder / proxy.map_file, versions)
    atomic_files.write(folder / proxy.map_file.with_name(routing.MODELS), routing.models_text(versions))
    atomic_files.write(folder / proxy.map_file.with_name(routing.UNBATCHED), "")
    atomic_files.write(folder / proxy.map_file.with_name(routing.HEALTH), "")
    config = folder / "haproxy.cfg"
    possible = open_files.max_connections(proxy.max_connections)
    if (sentence := open_files.fewer(possible, proxy.max_connections)) is not None:
        say(sentence)
    atomic_files.write(config, render(replace(proxy, max_connections=possible)))
    _check(program, config)
    command = [str(program), "-db", "-f", str(config)]
    return processes.spawn(command, cwd=folder, env=os.environ, on_line=say, gather_seconds=GATHER_SECONDS)


def await_open(proxy: ProxyConfig, haproxy: subprocess.Popen[bytes]) -> None:
    """Wait until it takes requests and commands: a socket that is there may not be listened on yet.

    Raises:
        StartError: it has ended, or takes longer than START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(proxy.host, proxy.host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while not (accepts(socket.AF_UNIX, str(proxy.socket)) and accepts(family, (address, proxy.port))):
        if haproxy.poll() is not None or time.monotonic() > deadline:
            raise StartError("the proxy (HAProxy) did not come up; see the log")
        time.sleep(0.02)


def accepts(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    """Return whether somebody accepts connections at an address."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def _check(program: Path, config: Path) -> None:
    """Let HAProxy read a haproxy.cfg, in the folder that it lies in.

    Raises:
        StartError: HAProxy refuses it; the message says why.
    """
    checked = subprocess.run([program, "-c", "-f", config], cwd=config.parent, capture_output=True, text=True)
    if checked.returncode != 0:
        alerts = [line.partition(" : ")[2] for line in checked.stderr.splitlines() if "[ALERT]" in line]
        raise StartError(f"HAProxy refuses {config}: {' '.join(alerts)}")


def _refusal(line: re.Match[str]) -> str:
    """The rules that answer an error in our shape; KServe's protocols want the message as `error` too."""
    stage = "http-response" if line["rule"] == "refuse-answer" else "http-request"
    header = f"hdr {line['header']} " if line["header"] else ""
    body = f'{{"code":{line["status"]},"type":"{line["type"]}","message":"{line["message"]}"%[var(txn.error)]}}'
    answer = f"status {line['status']} content-type application/json {header}lf-string '{body}'{line['when']}"
    return (
        f'    {stage} set-var-fmt(txn.error) \',"error":"{line["message"]}"\' if {IN_KSERVE}\n'
        f"    {'http-error' if line['rule'] == 'refuse-failure' else f'{stage} return'} {answer}"
    )


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(" ", "\\ ")


def _authorization(tokens: Tokens) -> str:
    key = _KEY.format(key=tokens.inference)
    if tokens.public is None:
        return _CROSS_SITE + key
    values = {
        "digest": hashlib.sha256(tokens.public.encode()).hexdigest().upper(),  # as HAProxy's `hex` writes it
        "wrong_tokens": WRONG_TOKENS,
        "wrong_token_seconds": WRONG_TOKEN_SECONDS,
    }
    return _filled(TOKEN_TEMPLATE, values) + key


def _filled(template: Path, values: Mapping[str, object]) -> str:
    """Put values in the place of the words in double braces."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: str(values[match[1]]), template.read_text(encoding="utf-8"))
