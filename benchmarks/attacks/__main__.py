"""Attack servers on this machine, and write the table of results to docs/benchmarks/attacks.md.

Starts one server in development mode and one in production mode, and attacks them. This takes some eight minutes. The
exit status is 1 if an attack succeeds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from benchmarks import report
from benchmarks.attacks import archives, local_user, make_variables, outage, smuggling, starvation, wrong_tokens
from benchmarks.attacks.finding import Finding
from benchmarks.attacks.hostile import MARK, generate
from benchmarks.attacks.hostile_h2 import REQUESTS, send
from benchmarks.attacks.smuggling import Victim
from scripts.command import command
from serving.runtime.instance import Ports
from tests.support.server import REPOSITORY, TOKEN, Server, free_port, run

PAGE = REPOSITORY / "docs" / "benchmarks" / "attacks.md"
HOSTILE_REQUESTS = 5_000
# Limit for the p99 of other clients while one client sends expensive requests, as a ratio to the p99 without it.
STARVATION_RATIO = 3.0
PREDICT = "/predictions/digits"

Attack = Callable[[], Iterator[Finding]]


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, attack the servers, write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.attacks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--page", type=Path, default=PAGE, help="page to write the table into (default: docs/benchmarks/attacks.md)"
    )
    parser.add_argument(
        "--count", type=int, default=HOSTILE_REQUESTS, help="number of hostile requests (default: 5000)"
    )
    parser.add_argument("--only", choices=NAMES, action="append", help="run only this part; may be repeated")
    arguments = parser.parse_args(argv)
    findings = [finding for part in attack(arguments.only or NAMES, arguments.count) for finding in part]
    rows = [[finding.attack, finding.measured, "yes" if finding.holds else "**no**"] for finding in findings]
    table = report.table(["attack", "measured", "defended"], rows)
    if arguments.only:
        print(table)
    else:
        report.put(arguments.page, "attacks", f"By `make measure-attacks` {report.where()}.\n\n{table}")
        print(table)
    if not all(finding.holds for finding in findings):
        sys.exit('error: an attack succeeded; see the rows with "no" in the table')


def attack(names: tuple[str, ...] | list[str], count: int) -> Iterator[list[Finding]]:
    """Start both servers, run the named parts, and yield the findings of each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torchlight-attacks-")))
        workspace = folder / "workspace"
        workspace.mkdir()
        archived = run(workspace, "scripts.archive")
        if archived.returncode:
            sys.exit(archived.stderr)
        development = stack.enter_context(Server(workspace))
        production = stack.enter_context(Server(workspace, "--mode", "production", TORCHLIGHT_TOKEN=TOKEN))
        image = (REPOSITORY / "samples" / "3.png").read_bytes()
        parts: dict[str, Attack] = {
            "smuggling": lambda: smuggle(development, production, image, count),
            "outage": lambda: take_connections(production, image),
            "local user": lambda: act_locally(development, folder, image),
            "starvation": lambda: starve(development, image),
            "archives": lambda: replace(workspace, folder),
            "tokens": lambda: guess(production),
            "make": lambda: iter([make_variables.run_targets()]),
        }
        assert tuple(parts) == NAMES
        for name in tqdm(names, unit="part"):
            yield list(parts[name]())


NAMES = ("smuggling", "outage", "local user", "starvation", "archives", "tokens", "make")


def smuggle(development: Server, production: Server, image: bytes, count: int) -> Iterator[Finding]:
    """Send requests that two parsers could parse differently."""
    headers_with_token = {"Authorization": f"Bearer {TOKEN}"}
    for name, server, token, headers in (
        ("development mode", development, None, {}),
        ("with a valid token", production, TOKEN, headers_with_token),
        ("without a token", production, None, headers_with_token),
    ):
        victim = Victim(server.ports.public, PREDICT, image, headers)
        hostile = generate(count, seed=1, model="digits", image=image, token=token)
        outcome = smuggling.run(server.ports.public, hostile, victim, source="127.0.0.2")
        victim.close()
        measured = (
            f"{count:,} requests: {len(outcome.violations)} violations; another client got its own "
            f"{outcome.victims:,} responses"
        )
        yield Finding(f"request smuggling, {name}", measured, not outcome.violations)
    responses = [send(development.ports.public, fields) for fields in REQUESTS.values()]
    leaked = sum(MARK in response.headers.get("x-request-id", "") + response.body.decode() for response in responses)
    measured = f"{len(responses)} requests: {leaked} hidden requests were answered"
    yield Finding("request smuggling over HTTP/2", measured, leaked == 0)


def take_connections(production: Server, image: bytes) -> Iterator[Finding]:
    """Hold connections while a client with a token sends requests."""
    headers_with_token = {"Authorization": f"Bearer {TOKEN}"}
    idle = outage.run(production.ports.public, outage.NOTHING, PREDICT, image, headers_with_token, outage.SECONDS)
    for flood in outage.ATTACKS:
        outcome = outage.run(production.ports.public, flood, PREDICT, image, headers_with_token, outage.SECONDS)
        answered = outcome.statuses[200] / outcome.statuses.total()
        ratio = outcome.percentile(50) / idle.percentile(50)
        measured = (
            f"{flood.connections:,} connections, {outcome.still_open:,} open after {outage.SECONDS:g} s; client with a "
            f"token: {answered:.0%} answered, median latency {ratio:.1f} x"
        )
        yield Finding(f"connection exhaustion without a token: {flood.name}", measured, answered == 1)


def act_locally(development: Server, folder: Path, image: bytes) -> Iterator[Finding]:
    """Act as another user of the machine, and as a page in the browser."""
    yield local_user.attack_management(development, folder)
    yield local_user.attack_from_a_page(development, image)
    yield local_user.look_at_files(development)
    yield local_user.stop_by_a_forged_status(folder, Ports(free_port()))


def starve(development: Server, image: bytes) -> Iterator[Finding]:
    """Send expensive requests while other clients send cheap ones."""
    for name in starvation.ATTACKS:
        figures = starvation.measure(development.url, "digits", image, name)
        worst = max(p99 for _, p99 in figures.ratios.values())
        failures = sum(latency.failures for latency in figures.during.values())
        statuses = ", ".join(str(status) for status in sorted(figures.statuses))
        measured = f"p99 of other clients {worst:.1f} x, {failures} failures; the attacker got {statuses}"
        broken = failures > 0 or any(status >= 500 for status in figures.statuses)
        yield Finding(f"starvation: {name}", measured, worst <= STARVATION_RATIO and not broken)


def replace(workspace: Path, folder: Path) -> Iterator[Finding]:
    """Serve replaced archives, and read hostile cards."""
    yield archives.serve_replaced_code(workspace, folder / "replaced")
    yield archives.read_bombs(workspace, folder / "bombs")


def guess(production: Server) -> Iterator[Finding]:
    """Try wrong tokens and malformed credentials."""
    yield wrong_tokens.try_tokens(production.ports.public)
    yield wrong_tokens.send_odd_credentials(production.ports.public, TOKEN)


if __name__ == "__main__":
    main()
