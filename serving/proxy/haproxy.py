"""The proxy: HAProxy's configuration, rendered for one launch, and its process."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serving import VERSION
from serving.errors import StartError
from serving.proxy import cors, open_files, readiness, routing, traffic_split
from serving.runtime import atomic_files, processes
from serving.torchserve import worker_roles
from serving.torchserve.worker_roles import Role

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "deploy" / "haproxy" / "haproxy.cfg.jinja"
UPLOAD_FILTER = ROOT / "deploy" / "haproxy" / "upload_time.lua"

# Sockets through which HAProxy sends requests to itself: explanations with a deadline, and heavy predictions that a
# predict worker hands on. They lie in the folder of the runtime API's socket.
DEADLINE_SOCKET = "deadline.sock"
MOVING_SOCKET = "moving.sock"
# Socket for copies of requests, in the same folder (serving/rollout/shadow/).
SHADOW_SOCKET = "shadow.sock"
# Concurrent copies.
SHADOW_AT_ONCE = 2
# A prediction with a larger body is heavy.
LARGE_BYTES = 1_000_000
# A body up to this size fits into a buffer of HAProxy (tune.bufsize) with its headers, and can be sent twice.
MOVABLE_BYTES = 48_000
# Milliseconds of work. A prediction below LIGHT_MS is light. One source may use SHARE_MS of the predict workers in 10
# s.
LIGHT_MS = 10
VERY_HEAVY_MS = 100
SHARE_MS = 2_000
# Concurrent requests to TorchServe, where it queues them itself.
AT_ONCE = 1024
# Concurrent requests to the web process. The others wait in the proxy.
WEB_AT_ONCE = 8
# Maximum number of queued explanations, as in TorchServe's own queue by default.
MAX_WAITING = 200
# Minimum wait for an explanation, even with a shorter deadline: its worker then answers how long it needs.
MIN_WAIT_MS = 40
# Part of a deadline that is reserved for sending the 504. Workers reserve as much for their responses.
RESERVE_MS = 8

# Longer than the idle timeouts of load balancers (AWS ALB, nginx: 60 s), which would otherwise send a request into a
# connection that is just being closed.
KEEP_ALIVE_SECONDS = 75
MAX_KEEP_ALIVE_SECONDS = 3600
# After an unbatched worker broke a request, it gets none for this long.
UNBATCHED_PAUSE_SECONDS = 30
# Maximum number of connections from all clients. Each uses two file descriptors while a request is answered.
MAX_CONNECTIONS = 8192
# One address may have this part of the connections: 1 / SHARE_OF_ONE_SOURCE. A reverse proxy counts as one address.
SHARE_OF_ONE_SOURCE = 2
# Time limits for the part of a body that fits into HAProxy's buffer, and for the whole body.
FIRST_BODY_SECONDS = 20
UPLOAD_SECONDS = 60
# Requests without the right token from one address, in so many seconds, that get 401. More of them get 429.
WRONG_TOKENS = 20
WRONG_TOKEN_SECONDS = 10
# Headers that are forwarded to TorchServe, as regular expressions: those that the handler reads, and those that frame
# the body, which HAProxy rewrites. Authorization has TorchServe's own token by then.
FORWARDED_HEADERS = (
    "accept",
    "authorization",
    "content-length",
    "content-type",
    "inference-header-content-length",
    "transfer-encoding",
    "x-amzn-sagemaker-custom-attributes",
    "x-contrast",
    "x-explain-[a-z-]+",
    "x-target",
    "x-timing",
    "x-top-k",
)

START_SECONDS = 10
# HAProxy logs a line for each request. The lines of such a period are passed on together.
GATHER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that HAProxy checks and sends.

    Attributes:
        inference: the token that the proxy sends to TorchServe.
        public: the token that clients must send. None, in development, needs no token.
    """

    inference: str
    public: str | None = None


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The settings of a proxy.

    Attributes:
        backend_port: TorchServe's inference port on loopback.
        gateway_port: port of the gRPC gateway on loopback.
        web_port: port of the web process on loopback.
        metrics_port: port on loopback for HAProxy's own metrics.
        max_connections: connections from all clients. One address may have half of them.
        keep_alive_seconds: how long a connection may wait for its next request.
        only_model: the model for /invocations, which names none. Empty if there are several models.
        explain_at_once: concurrent explanations. The others wait in the order of their deadlines. 0 sends explanations
            to the predict workers.
        cors_origins: origins whose pages may read responses.
    """

    host: str
    port: int
    backend_port: int
    gateway_port: int
    web_port: int
    metrics_port: int
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
    """Return the text of haproxy.cfg.

    Raises:
        jinja2.UndefinedError: the template names a value that is not passed here.
    """
    loader = FileSystemLoader(TEMPLATE.parent)
    # No autoescape: the text is not HTML. Paths are escaped here, and other values are checked where they come from.
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    public_token = proxy.tokens.public
    return environment.get_template(TEMPLATE.name).render(
        host=f"[{proxy.host}]" if ":" in proxy.host else proxy.host,
        port=proxy.port,
        backend=f"127.0.0.1:{proxy.backend_port}",
        gateway=f"127.0.0.1:{proxy.gateway_port}",
        web=f"127.0.0.1:{proxy.web_port}",
        metrics=f"127.0.0.1:{proxy.metrics_port}",
        web_at_once=WEB_AT_ONCE,
        only_model=proxy.only_model,
        version=VERSION,
        versions_map=_escaped(proxy.map_file),
        models_map=_escaped(proxy.map_file.with_name(routing.MODELS)),
        unbatched_map=_escaped(proxy.map_file.with_name(routing.UNBATCHED)),
        splits_map=_escaped(proxy.map_file.with_name(traffic_split.FILE_NAME)),
        cookie=traffic_split.COOKIE,
        cookie_seconds=traffic_split.COOKIE_SECONDS,
        bad_event_seconds=traffic_split.BAD_EVENT_SECONDS,
        health_map=_escaped(proxy.map_file.with_name(routing.HEALTH)),
        heartbeat_seconds=readiness.HEARTBEAT_TIMEOUT_SECONDS,
        unbatched_suffix=Role.UNBATCHED.suffix,
        unbatched_pause_seconds=UNBATCHED_PAUSE_SECONDS,
        socket=_escaped(proxy.socket),
        deadline_socket=_escaped(proxy.socket.with_name(DEADLINE_SOCKET)),
        moving_socket=_escaped(proxy.socket.with_name(MOVING_SOCKET)),
        shadow_socket=_escaped(proxy.socket.with_name(SHADOW_SOCKET)),
        shadow_at_once=SHADOW_AT_ONCE,
        max_request_size=proxy.max_request_size,
        drain_seconds=proxy.drain_seconds,
        threads=proxy.threads,
        max_connections=proxy.max_connections,
        connections_per_source=max(1, proxy.max_connections // SHARE_OF_ONE_SOURCE),
        keep_alive_seconds=proxy.keep_alive_seconds,
        first_body_seconds=FIRST_BODY_SECONDS,
        upload_seconds=UPLOAD_SECONDS,
        upload_filter=_escaped(UPLOAD_FILTER),
        forwarded_headers="|".join(FORWARDED_HEADERS),
        inference_token=proxy.tokens.inference,
        # In upper case, as HAProxy's `hex` writes it.
        token_digest=hashlib.sha256(public_token.encode()).hexdigest().upper() if public_token is not None else "",
        wrong_tokens=WRONG_TOKENS,
        wrong_token_seconds=WRONG_TOKEN_SECONDS,
        cors_origins=proxy.cors_origins,
        cors_any=cors.ANY,
        cors_methods=", ".join(cors.METHODS),
        cors_request_headers=", ".join(cors.REQUEST_HEADERS),
        cors_response_headers=", ".join(cors.RESPONSE_HEADERS),
        cors_max_age_seconds=cors.MAX_AGE_SECONDS,
        explain_suffix=worker_roles.explaining_role(proxy.explain_at_once).suffix,
        explain_at_once=proxy.explain_at_once or AT_ONCE,
        heavy_at_once=proxy.explain_at_once,
        at_once=AT_ONCE,
        max_waiting=MAX_WAITING,
        min_wait_ms=MIN_WAIT_MS,
        reserve_ms=RESERVE_MS,
        very_heavy_ms=VERY_HEAVY_MS,
        light_ms=LIGHT_MS,
        share_ms=SHARE_MS,
        large_bytes=LARGE_BYTES,
        movable_bytes=MOVABLE_BYTES,
    )


def spawn(
    program: Path, proxy: ProxyConfig, folder: Path, versions: str, log: Callable[[str], None]
) -> subprocess.Popen[bytes]:
    """Write HAProxy's configuration and maps into a folder, and start it there.

    Args:
        versions: the text of the map of versions.
        log: called with HAProxy's lines.

    Raises:
        StartError: HAProxy rejects the configuration.
    """
    atomic_files.write(folder / proxy.map_file, versions)
    atomic_files.write(folder / proxy.map_file.with_name(routing.MODELS), routing.models_text(versions))
    atomic_files.write(folder / proxy.map_file.with_name(routing.UNBATCHED), "")
    atomic_files.write(folder / proxy.map_file.with_name(routing.HEALTH), "")
    traffic_split.keep_routed(folder / proxy.map_file.with_name(traffic_split.FILE_NAME), versions)
    config = folder / "haproxy.cfg"
    possible = open_files.max_connections(proxy.max_connections)
    if (sentence := open_files.fewer(possible, proxy.max_connections)) is not None:
        log(sentence)
    atomic_files.write(config, render(replace(proxy, max_connections=possible)))
    _check(program, config)
    command = [str(program), "-db", "-f", str(config)]
    return processes.spawn(command, cwd=folder, env=os.environ, on_line=log, gather_seconds=GATHER_SECONDS)


def await_open(proxy: ProxyConfig, haproxy: subprocess.Popen[bytes]) -> None:
    """Wait until HAProxy accepts requests and commands. Its socket may exist before HAProxy listens on it.

    Raises:
        StartError: HAProxy has ended, or takes longer than START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(proxy.host, proxy.host)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while not (accepts(socket.AF_UNIX, str(proxy.socket)) and accepts(family, (address, proxy.port))):
        if haproxy.poll() is not None or time.monotonic() > deadline:
            raise StartError("the proxy (HAProxy) did not start; see the log")
        time.sleep(0.02)


def accepts(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    """Return whether an address accepts connections."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def _check(program: Path, config: Path) -> None:
    """Let HAProxy check a haproxy.cfg, in the folder of that file.

    Raises:
        StartError: HAProxy rejects the file. The message has its reason.
    """
    checked = subprocess.run([program, "-c", "-f", config], cwd=config.parent, capture_output=True, text=True)
    if checked.returncode != 0:
        alerts = [line.partition(" : ")[2] for line in checked.stderr.splitlines() if "[ALERT]" in line]
        raise StartError(f"HAProxy rejects {config}: {' '.join(alerts)}")


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(" ", "\\ ")
