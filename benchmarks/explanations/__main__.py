"""Measure what explanations cost, and write it into docs/explanations.md: some five minutes.

costs: each method on each network. deadlines: whether they are kept under load. predictions: what they lose while
explanations are asked for without a pause. sizes: bytes of the answers. The last three ask a server of their own, of
the digits unless --release names the folder of another model.
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
from benchmarks.explanations.load import Answers, Crowd, ask
from benchmarks.report import put, table, where
from models.card import Card
from scripts.command import command

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINES_MS = (50, 200, 1000)
SECONDS = 10.0
ROUNDS = 3
MOST_BYTES = 150_000


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
    parser.add_argument("--only", choices=["costs", *parts], action="append", help="this alone; may be repeated")
    parser.add_argument("--release", type=Path, help="folder of the release to serve (default: digits, trained first)")
    parser.add_argument("--images", type=Path, default=REPOSITORY / "samples", help="folder to ask about")
    parser.add_argument("--port", type=int, default=18_280, help="for the server (default: 18280); +1 to +7 too")
    parser.add_argument("--out", type=Path, default=Path("docs/explanations.md"), help="page to write into")
    arguments = parser.parse_args(argv)
    wanted = arguments.only or ["costs", *parts]
    page = arguments.out.resolve()
    if "costs" in wanted:
        _write(page, "costs", costs.measure())
    if any(name in wanted for name in parts):
        with tempfile.TemporaryDirectory(prefix="torchlight-explanations-") as folder:
            server = Server(Path(folder), arguments.port, arguments.release, arguments.images)
            try:
                for name, part in parts.items():
                    if name in wanted:
                        _write(page, f"{name} {server.model}", part(server))
            finally:
                server.run("scripts.stop", "--port", str(arguments.port))


def _write(page: Path, name: str, text: str) -> None:
    whole = f"`make measure-explanations ONLY={name.split()[0]}`, {where()}.\n\n{text}"
    put(page, f"explanations {name}", whole)
    print(whole)


class Server:
    """A server of one model in a folder of its own, and what it is asked about."""

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
            raise ValueError(f"--images {images}: it holds no .png or .jpg")

    def run(self, module: str, *flags: str) -> None:
        """A command of the repository, in the server's folder."""
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
        subprocess.run(
            [sys.executable, "-m", module, *flags], cwd=self.folder, env=environment, check=True, capture_output=True
        )

    def crowd(self, road: str, clients: int, pause: float = 0.0, *, behind: bool = False) -> Crowd:
        """Clients that ask about the first image."""
        return Crowd(f"{self.url}/{road.format(self.model)}", self.images[0], clients, pause, behind)


def deadlines(server: Server) -> str:
    """Two clients with that deadline beside four that predict, all with pauses; and beside two that only explain."""
    rows = []
    for others in (0, 2):
        for deadline in DEADLINES_MS:
            crowds = [
                server.crowd(f"explanations/{{}}?deadline_ms={deadline}", 2, pause=0.05),
                server.crowd("predictions/{}", 4, pause=0.05),
            ]
            found = ask(crowds + ([server.crowd("explanations/{}", others, behind=True)] if others else []), SECONDS)[0]
            count = len(found.milliseconds) + len(found.refused)
            methods = ", ".join(f"{name} {number}" for name, number in found.methods.most_common())
            rows.append(
                [
                    f"{deadline} ms",
                    f"{others}",
                    f"{count}",
                    f"{found.percentile(0.5):.0f} ms",
                    f"{found.percentile(0.99):.0f} ms",
                    f"{len(found.milliseconds) / count:.0%}",
                    methods or "none",
                    _errors(found),
                ]
            )
    heads = ["deadline", "other explain clients", "requests", "median", "p99", "explained", "methods", "errors"]
    return table(heads, rows)


def _errors(answers: Answers) -> str:
    found = [f"{number} x {status}" for status, number in answers.statuses.most_common() if status != "200"]
    return ", ".join(found) or "none"


def predictions(server: Server) -> str:
    """What benchmarks/explanations/interference.py measures."""
    found = interference.measure(*interference.crowds(server.url, server.model, server.images[0]), ROUNDS, SECONDS)
    rows = [["predictions alone", _middle(found.alone, 0.5), _middle(found.alone, 0.99), "", ""]]
    for name, answers, rate in (
        ("predictions with 8 explain clients", found.flooded, f"{statistics.median(found.explained):.1f}"),
        ("predictions with convolutions in another process", found.burdened, ""),
    ):
        ratios = [b.percentile(0.99) / a.percentile(0.99) for a, b in zip(found.alone, answers, strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        rows.append([name, _middle(answers, 0.5), _middle(answers, 0.99), ratio, rate])
    return table(["load", "median", "p99", f"p99 / p99 alone, {ROUNDS} rounds", "explanations/s"], rows)


def _middle(found: Sequence[Answers], share: float) -> str:
    return f"{statistics.median(answers.percentile(share) for answers in found):.1f} ms"


def sizes(server: Server) -> str:
    """Of the answers for the images, and for one as a camera makes them."""
    buffer = io.BytesIO()
    Image.effect_noise((1024, 768), 60).convert("RGB").save(buffer, "JPEG", quality=90)
    rows = []
    for name, images in (("the images", server.images), ("1024 x 768 pixels of noise", [buffer.getvalue()])):
        found = {output: [_bytes(server, output, image) for image in images] for output in ("overlay", "json", "npy")}
        rows.append([name, *(f"{max(values):,}" for values in found.values())])
        if max(found["overlay"]) > MOST_BYTES:
            raise ValueError(f"an overlay has {max(found['overlay']):,} bytes: at most {MOST_BYTES:,} were promised")
    return table(["largest response, bytes", "overlay", "JSON", "array"], rows)


def _bytes(server: Server, output: str, image: bytes) -> int:
    answer = requests.post(f"{server.url}/explanations/{server.model}?output={output}", data=image, timeout=60)
    answer.raise_for_status()
    return len(answer.content)


if __name__ == "__main__":
    main()
