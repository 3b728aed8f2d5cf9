"""Measure the cost of explanations, and write it to docs/benchmarks/explanations.md. This takes some five minutes.

Parts:
  costs        time of each method on each network
  deadlines    latency of explanations with a deadline, under load
  predictions  latency of predictions while other clients request explanations
  sizes        bytes of the responses

All parts but the first start a server of the digits, or of the release that --release names.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import requests
from PIL import Image

from benchmarks.explanations import costs, interference
from benchmarks.explanations.load import ClientGroup, Responses, run
from benchmarks.report import put, table, where
from models.card import Card
from scripts.command import command

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINES_MS = (50, 200, 1000)
SECONDS = 10.0
ROUNDS = 3
MAX_OVERLAY_BYTES = 150_000


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explanations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts: dict[str, Callable[[Server], str]] = {
        "deadlines": deadlines,
        "predictions": predictions,
        "sizes": sizes,
    }
    names = ["costs", *parts]
    parser.add_argument("--only", choices=names, action="append", help="run only this part; may be repeated")
    parser.add_argument("--release", type=Path, help="folder of the release to serve (default: digits, trained first)")
    parser.add_argument("--images", type=Path, default=REPOSITORY / "samples", help="folder of images for the requests")
    parser.add_argument("--port", type=int, default=18_280, help="first of the server's 8 ports (default: 18280)")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks/explanations.md"), help="page to write")
    arguments = parser.parse_args(argv)
    parts_to_run = arguments.only or names
    page = arguments.out.resolve()
    if "costs" in parts_to_run:
        _write(page, "costs", costs.measure())
    if any(name in parts_to_run for name in parts):
        with tempfile.TemporaryDirectory(prefix="torchlight-explanations-") as folder:
            server = Server(Path(folder), arguments.port, arguments.release, arguments.images)
            try:
                for name, part in parts.items():
                    if name in parts_to_run:
                        _write(page, f"{name} {server.model}", part(server))
            finally:
                server.run("scripts.stop", "--port", str(arguments.port))


def _write(page: Path, name: str, text: str) -> None:
    section = f"`make measure-explanations ONLY={name.split()[0]}`, {where()}.\n\n{text}"
    put(page, f"explanations {name}", section)
    print(section)


class Server:
    """A server of one model in a folder of its own, and the images of the requests."""

    def __init__(self, folder: Path, port: int, release: Path | None, images: Path) -> None:
        self.folder = folder
        self.model = "digits"
        if release is not None:
            card = Card.load(release)
            self.model = card.name
            shutil.copytree(release, folder / "releases" / card.name / card.version)
        self.run("scripts.archive", "--model", self.model)
        self.run("scripts.serve", "--port", str(port))
        self.url = f"http://127.0.0.1:{port}"
        self.images = [path.read_bytes() for path in sorted(images.iterdir()) if path.suffix in (".png", ".jpg")]
        if not self.images:
            raise ValueError(f"--images {images}: no .png or .jpg files there")

    def run(self, module: str, *flags: str) -> None:
        """Run a command of this repository in the server's folder."""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(
            [sys.executable, "-m", module, *flags], cwd=self.folder, env=environment, check=True, capture_output=True
        )

    def client_group(self, path: str, clients: int, pause: float = 0.0, *, low_priority: bool = False) -> ClientGroup:
        """Return clients that send the first image. `{}` in the path stands for the name of the model."""
        return ClientGroup(f"{self.url}/{path.format(self.model)}", self.images[0], clients, pause, low_priority)


def deadlines(server: Server) -> str:
    """Measure two clients with a deadline beside four that predict; then with two more that explain without pauses."""
    rows = []
    for other_clients in (0, 2):
        for deadline in DEADLINES_MS:
            groups = [
                server.client_group(f"explanations/{{}}?deadline_ms={deadline}", 2, pause=0.05),
                server.client_group("predictions/{}", 4, pause=0.05),
            ]
            if other_clients:
                groups.append(server.client_group("explanations/{}", other_clients, low_priority=True))
            responses = run(groups, SECONDS)[0]
            count = len(responses.milliseconds) + len(responses.refused)
            methods = ", ".join(f"{name} {number}" for name, number in responses.methods.most_common())
            rows.append(
                [
                    f"{deadline} ms",
                    f"{other_clients}",
                    f"{count}",
                    f"{responses.percentile(0.5):.0f} ms",
                    f"{responses.percentile(0.99):.0f} ms",
                    f"{len(responses.milliseconds) / count:.0%}",
                    methods or "none",
                    _errors(responses),
                ]
            )
    heads = ["deadline", "other explain clients", "requests", "median", "p99", "explained", "methods", "errors"]
    return table(heads, rows)


def _errors(responses: Responses) -> str:
    errors = [f"{number} x {status}" for status, number in responses.statuses.most_common() if status != "200"]
    return ", ".join(errors) or "none"


def predictions(server: Server) -> str:
    """Measure the latency of predictions, see interference.py."""
    groups = interference.client_groups(server.url, server.model, server.images[0])
    rounds = interference.measure(*groups, ROUNDS, SECONDS)
    explanations_per_second = f"{statistics.median(rounds.explanations_per_second):.1f}"
    rows = [["predictions alone", _median(rounds.alone, 0.5), _median(rounds.alone, 0.99), "", ""]]
    for name, responses, rate in (
        ("predictions with 8 explain clients", rounds.with_explanations, explanations_per_second),
        ("predictions with convolutions in another process", rounds.with_background_load, ""),
    ):
        ratios = [b.percentile(0.99) / a.percentile(0.99) for a, b in zip(rounds.alone, responses, strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append([name, _median(responses, 0.5), _median(responses, 0.99), ratio, rate])
    return table(["load", "median", "p99", f"p99 / p99 alone, {ROUNDS} rounds", "explanations/s"], rows)


def _median(responses: Sequence[Responses], share: float) -> str:
    return f"{statistics.median(r.percentile(share) for r in responses):.1f} ms"


def sizes(server: Server) -> str:
    """Measure responses for the images of the requests, and for an image of a camera's size."""
    buffer = io.BytesIO()
    Image.effect_noise((1024, 768), 60).convert("RGB").save(buffer, "JPEG", quality=90)
    rows = []
    for name, images in (("the images", server.images), ("1024 x 768 pixels of noise", [buffer.getvalue()])):
        outputs = ("overlay", "json", "npy")
        sizes_by_output = {output: [_bytes(server, output, image) for image in images] for output in outputs}
        rows.append([name, *(f"{max(values):,}" for values in sizes_by_output.values())])
        if max(sizes_by_output["overlay"]) > MAX_OVERLAY_BYTES:
            largest = max(sizes_by_output["overlay"])
            raise ValueError(f"an overlay has {largest:,} bytes; the limit is {MAX_OVERLAY_BYTES:,}")
    return table(["largest response, bytes", "overlay", "JSON", "array"], rows)


def _bytes(server: Server, output: str, image: bytes) -> int:
    response = requests.post(f"{server.url}/explanations/{server.model}?output={output}", data=image, timeout=60)
    response.raise_for_status()
    return len(response.content)


if __name__ == "__main__":
    main()
