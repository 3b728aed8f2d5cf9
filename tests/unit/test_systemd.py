"""The unit file of systemd is one that systemd accepts, and fits the server's own times and needs."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from serving.proxy import haproxy, open_files
from serving.server import draining, supervisor
from tests.support.docker_host import install

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "deploy" / "systemd" / "torchlight.service"
TEXT = UNIT.read_text(encoding="utf-8")


def setting(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", TEXT, re.MULTILINE)
    return str(value)


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    install({"systemd-analyze": "systemd"})
    here = tmp_path / UNIT.name
    here.write_text(TEXT.replace("/opt/torchlight", str(ROOT)), encoding="utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", here], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_stop_has_time_for_the_drain() -> None:
    drain = draining.GRPC_DRAIN_SECONDS + draining.GATEWAY_STOP_SECONDS + draining.DRAIN_SECONDS + 5
    assert int(setting("TimeoutStopSec")) > drain + supervisor.JAVA_STOP_SECONDS
    assert (setting("KillMode"), setting("KillSignal")) == ("mixed", "SIGTERM")


def test_open_files_suffice_for_all_connections() -> None:
    files = open_files.FILES_PER_CONNECTION * haproxy.MAX_CONNECTIONS + open_files.OWN_FILES
    assert int(setting("LimitNOFILE")) >= 2 * files
