"""A real Prometheus that scrapes one target each second, and promtool, from Debian's package."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from tests.support import docker_host

START_SECONDS = 30
CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: torchlight
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def install() -> None:
    """Install promtool and prometheus if they are missing."""
    docker_host.install({"promtool": "prometheus", "prometheus": "prometheus"})


def lint(text: str) -> str:
    """The complaints of `promtool check metrics`; empty where the text is right."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30)
    complaints = done.stdout + done.stderr
    assert (done.returncode == 0) == (not complaints), complaints
    return complaints


class Prometheus:
    """A server for a `with` block, its data in a folder."""

    def __init__(self, folder: Path, target: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._folder = folder
        (folder / "prometheus.yml").write_text(CONFIG.format(port=target), encoding="utf-8")

    def __enter__(self) -> Prometheus:
        command = [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._address}",
        ]
        with (self._folder / "prometheus.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that an expression gives now: label sets, each with a time and a value."""
        answer = requests.get(f"http://{self._address}/api/v1/query", params={"query": expression}, timeout=10)
        content = json.loads(answer.content)
        assert content["status"] == "success", content
        return list(content["data"]["result"])

    def metadata(self, metric: str) -> list[dict[str, str]]:
        """Type and help text of a metric, as the target gave them."""
        parameters = {"metric": metric}
        answer = requests.get(f"http://{self._address}/api/v1/metadata", params=parameters, timeout=10)
        return list(answer.json()["data"].get(metric, []))

    def await_query(self, expression: str) -> list[dict[str, Any]]:
        """Wait until the result of a query is not empty, and return it."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                if vector := self.query(expression):
                    return vector
            except requests.ConnectionError:
                assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
            time.sleep(0.2)
        raise AssertionError(f"{expression} stayed empty:\n{(self._folder / 'prometheus.log').read_text()[-2000:]}")
