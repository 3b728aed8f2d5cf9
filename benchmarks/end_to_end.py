"""Train, archive and serve the digits model in an empty folder. Write the costs to docs/benchmarks/end-to-end.md."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import put, table, where
from models.release import find
from scripts.command import command
from serving.runtime.instance import Instance, Ports
from serving.torchserve.tokens import KeyFile
from torchlight_client import Client, Prediction

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGE = (REPOSITORY / "samples" / "3.png").read_bytes()


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.end_to_end", description=__doc__)
    parser.add_argument("--port", type=int, default=18_180, help="first of the server's 8 ports (default: 18180)")
    parser.add_argument("--starts", type=int, default=5, help="number of starts (default: 5)")
    parser.add_argument("--requests", type=int, default=500, help="number of predictions for each path (default: 500)")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("docs/benchmarks/end-to-end.md"),
        help="page to write (default: docs/benchmarks/end-to-end.md)",
    )
    arguments = parser.parse_args(argv)
    out = arguments.out.resolve()
    with tempfile.TemporaryDirectory(prefix="torchlight-measure-") as folder:
        rows = measure(Path(folder), arguments.port, arguments.starts, arguments.requests)
    text = f"By `make measure` {where()}.\n\n{table(['step', 'measured'], [list(row) for row in rows])}"
    put(out, "end to end", text)
    print(text)


def measure(folder: Path, port: int, starts: int, requests: int) -> list[tuple[str, str]]:
    """Run all steps once, and return the rows of the table."""
    run(folder, "scripts.archive")
    metrics = find("digits", root=folder / "releases").card.metrics
    rows = [
        ("accuracy on the 360 test images", f"{metrics.accuracy:.2%}"),
        ("training, CPU time", f"{metrics.train_cpu_seconds:.0f} s"),
    ]
    seconds = []
    for number in range(starts):
        start = time.perf_counter()
        run(folder, "scripts.serve", "--port", str(port))
        seconds.append(time.perf_counter() - start)
        if number < starts - 1:
            run(folder, "scripts.stop", "--port", str(port))
    rows.append((f"from the command to READY, {starts} starts", spread(seconds, "s", 1)))
    try:
        rows += measure_requests(Instance(Ports(port), folder / ".run"), requests)
    finally:
        run(folder, "scripts.stop", "--port", str(port))
    return rows


def measure_requests(instance: Instance, requests: int) -> list[tuple[str, str]]:
    """Measure one client with persistent connections. Paths are interleaved, so that noise affects all of them."""
    token = KeyFile.of(instance).token("inference")  # TorchServe asks for its own token, which the proxy knows
    torchserve_url = f"http://127.0.0.1:{instance.ports.inference}"
    # Without retries: a request that fails must not count as a slow one.
    with Client(instance.url, retries=0) as proxy, Client(torchserve_url, token, retries=0) as direct:
        paths: dict[str, Callable[[], Prediction]] = {
            "direct": lambda: direct.predict("digits", IMAGE, "1.0"),
            "proxy": lambda: proxy.predict("digits", IMAGE),
            "explain": lambda: proxy.explain("digits", IMAGE),
        }
        for send in paths.values():
            for _ in range(20):
                check(send())
        milliseconds: dict[str, list[float]] = {name: [] for name in paths}
        for number in range(requests):
            for name, send in paths.items():
                if name == "explain" and number % 5:
                    continue
                start = time.perf_counter()
                prediction = send()
                milliseconds[name].append((time.perf_counter() - start) * 1000)
                check(prediction)
    ratio = statistics.median(milliseconds["proxy"]) / statistics.median(milliseconds["direct"])
    return [
        (f"one prediction, one client, {requests} requests", spread(milliseconds["proxy"], "ms", 1)),
        (
            "the same, sent to TorchServe without the proxy",
            f"{spread(milliseconds['direct'], 'ms', 1)}; ratio with / without the proxy: {ratio:.2f}",
        ),
        (
            f"one explanation with its overlay, {len(milliseconds['explain'])} requests",
            spread(milliseconds["explain"], "ms", 0),
        ),
    ]


def check(prediction: Prediction) -> None:
    """Raise ValueError if the prediction is wrong. A fast wrong response does not count."""
    if prediction.best.label != "3":
        raise ValueError(f"samples/3.png was classified as {prediction.best.label!r}; expected 3")


def run(folder: Path, module: str, *flags: str) -> None:
    """Run a command of this repository in `folder`."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-m", module, *flags], cwd=folder, env=environment, check=True, capture_output=True)


def spread(values: list[float], unit: str, digits: int) -> str:
    """Return the median, and the 5th and 95th percentile. With few values, these are the minimum and the maximum."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 20], ordered[-1 - len(ordered) // 20]
    return f"{statistics.median(ordered):.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


if __name__ == "__main__":
    main()
