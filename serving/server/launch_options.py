"""Options of a start, and the message when the server is ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from serving.artifacts import store
from serving.artifacts.store import Archive
from serving.errors import StartError
from serving.proxy.haproxy import KEEP_ALIVE_SECONDS
from serving.rollout.state import State
from serving.runtime.instance import ROOT, TOKEN, TORCHSERVE_TOKEN, Ports, http_url
from serving.torchserve import registrations
from serving.torchserve.registrations import Registration
from serving.torchserve.worker_roles import RoleCounts

LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Start of the line that reports, once, that all workers are READY and the proxy is open.
READY = "serving "


@dataclass(frozen=True, slots=True)
class Launch:
    """The options of one start.

    Attributes:
        archives: the archives of `state`, each model's default first.
        proxy: False serves TorchServe itself on the public port, on loopback only.
        token: the token that clients must send in production. None makes a random one.
        role_counts: extra workers of each version; none without the proxy, which routes requests to them.
        cors_origins: origins whose pages may read responses (serving/proxy/cors.py); none without the proxy.
        keep_alive_seconds: how long the proxy keeps a connection that waits for its next request.
        container: True inside a container. Its published ports then decide who can reach the server.
    """

    archives: Sequence[Archive]
    state: State
    host: str = "127.0.0.1"
    proxy: bool = True
    production: bool = False
    token: str | None = None
    role_counts: RoleCounts = field(default_factory=RoleCounts)
    cors_origins: tuple[str, ...] = ()
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS
    container: bool = False

    def registrations(self) -> list[Registration]:
        """Return everything that this start registers in TorchServe, in the order of `archives`."""
        models = self.state.models
        return [
            registration
            for archive in self.archives
            for registration in registrations.of(
                archive, models[archive.model].versions[archive.version].workers, self.role_counts
            )
        ]

    def check_archives(self) -> None:
        """Check that the archives did not change while TorchServe read them.

        Raises:
            ArchiveError: an archive was replaced.
        """
        store.check_unchanged(*self.archives)

    @property
    def asks_for_token(self) -> bool:
        """Return whether clients must send a token: to the proxy in production, to TorchServe itself always."""
        return self.production or not self.proxy

    def check(self) -> None:
        """Check that the options are possible without the proxy.

        Raises:
            StartError: an option needs the proxy.
        """
        if self.proxy:
            return
        if self.host not in LOOPBACK:
            raise StartError(f"--host={self.host} needs the proxy: TorchServe itself is never open to a network")
        if self.production and self.token is not None:
            raise StartError(
                "TORCHLIGHT_TOKEN is set, but --proxy=0 leaves out the proxy that checks it, and TorchServe makes its "
                "own tokens: leave --proxy=0 out, or unset TORCHLIGHT_TOKEN"
            )


def welcome(launch: Launch, ports: Ports) -> str:
    """Return the message of a ready server: the URLs, a line to paste, how to stop it, and warnings."""
    if launch.container:
        return f"{READY}on port {ports.public} of the container"
    url = http_url(launch.host, ports.public)
    model = launch.archives[0].model
    lines = [f"{READY}at {url}"]
    for name, entry in launch.state.models.items():
        named = [version for version in entry.versions if version != entry.default]
        also = f" (also {', '.join(named)}, by name)" if named else ""
        lines.append(f"  POST {url}/predictions/{name}   POST {url}/explanations/{name}   {entry.default}{also}")
    file = ROOT / str(ports.public) / (TOKEN if launch.proxy else TORCHSERVE_TOKEN)
    token = f' -H "Authorization: Bearer $(cat {file})"' if launch.asks_for_token else ""
    lines += [
        f"try:   curl{token} -T samples/3.png {url}/predictions/{model}",
        f"stop:  torchlight stop --port {ports.public}",
    ]
    if not launch.proxy:
        lines.append(
            "no proxy: no default versions, query options, form-encoded images, checks of multipart bodies, gRPC, "
            "limits or soft stop; stopping cuts off requests in flight"
        )
        lines.append(f"TorchServe asks every client for its own token, which is new at each start: {file}")
    elif not launch.production:
        lines.append(development_note(launch.host, "torchlight serve"))
    return "\n".join(lines)


def development_note(host: str, command: str) -> str:
    """Return a sentence on who can send requests without a token in development mode."""
    if host in LOOPBACK:
        return f"requests need no token: only this machine can connect; `{command} --mode production` requires one"
    return f"WARNING: --host={host} lets anybody who reaches this machine use it: add --mode=production"
