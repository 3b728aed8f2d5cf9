"""What a server is started with, and what it says when it is up."""

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
# How the line begins that says, once, that every worker is READY and the proxy open.
READY = "serving "


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run and how.

    Attributes:
        archives: those of `state`, each model's default first.
        proxy: False serves TorchServe itself on the public port, of loopback alone.
        token: what clients must send in production; made, where it is None.
        role_counts: what each version has beside the workers that predict; nobody without the proxy, which sends them
            their requests.
        cors_origins: origins whose pages may read the answers (serving/proxy/cors.py); none without the proxy.
        keep_alive_seconds: how long the proxy keeps a connection that waits for its next request.
        container: this is the inside of one; who reaches it is up to the ports that were published.
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
        """Check, once TorchServe has read the archives, that they are the files that were checked before.

        Raises:
            ArchiveError: one was replaced meanwhile.
        """
        store.check_unchanged(*self.archives)

    @property
    def asks_for_token(self) -> bool:
        """Return whether clients must send a token: the proxy asks in production, TorchServe itself always."""
        return self.production or not self.proxy

    def check(self) -> None:
        """Raise StartError where TorchServe without the proxy cannot be what was asked for."""
        if self.proxy:
            return
        if self.host not in LOOPBACK:
            raise StartError(f"HOST={self.host} needs the proxy: TorchServe itself is never open to a network")
        if self.production and self.token is not None:
            raise StartError(
                "TORCHLIGHT_TOKEN is set, and with PROXY=0 nothing checks it, since TorchServe makes its own tokens: "
                "leave PROXY=0 out, or unset TORCHLIGHT_TOKEN"
            )


def welcome(launch: Launch, ports: Ports) -> str:
    """What is said when it is READY: the URLs, a line to paste, how to stop it, and what is less than safe."""
    if launch.container:
        return f"{READY}on port {ports.public} of the container"
    url = http_url(launch.host, ports.public)
    model = launch.archives[0].model
    lines = [f"{READY}at {url}"]
    for name, entry in launch.state.models.items():
        others = [version for version in entry.versions if version != entry.default]
        also = f" (also {', '.join(others)}, by name)" if others else ""
        lines.append(f"  POST {url}/predictions/{name}   POST {url}/explanations/{name}   {entry.default}{also}")
    file = ROOT / str(ports.public) / (TOKEN if launch.proxy else TORCHSERVE_TOKEN)
    token = f' -H "Authorization: Bearer $(cat {file})"' if launch.asks_for_token else ""
    lines += [
        f"try:   curl{token} -T samples/3.png {url}/predictions/{model}",
        f"stop:  make stop PORT={ports.public}",
    ]
    if not launch.proxy:
        lines.append(
            "no proxy: no default versions, query options, form-encoded images, checks of multipart bodies, gRPC, "
            "limits or soft stop; stopping cuts off requests in flight"
        )
        lines.append(f"TorchServe asks every client for its own token, which is new at each start: {file}")
    elif not launch.production:
        lines.append("no token is asked for: this is for one machine; `make serve MODE=production` asks for one")
        if launch.host not in LOOPBACK:
            lines.append(
                f"WARNING: HOST={launch.host} lets anybody who reaches this machine use it: add MODE=production"
            )
    return "\n".join(lines)
