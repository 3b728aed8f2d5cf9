"""Schemathesis sends valid and invalid requests, and compares the responses with deploy/openapi.json.

It runs in a process of its own, because its pytest plugin adds warnings and a database of examples.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import REPOSITORY, Server

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)
# An explanation with a deadline of 1 ms is a 504: from the proxy, before a worker reads what else is wrong with it.
# 413 is a refusal too, for which schemathesis would not take it.
CONFIG = """
[parameters]
"path.model" = "digits"
"path.version" = "1.0"
"header.X-Model-Version" = "1.0"

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]

[checks.negative_data_rejection]
expected-statuses = [400, 401, 404, 405, 406, 413, 414, 415, 422, 431, 504]
"""


@pytest.mark.parametrize(
    ("phase", "flags", "operations"),
    [
        ("fuzzing", ("--max-examples", "20"), 26),
        # Thousands of requests, each with one thing at its bound or beyond; a version in the path would double them,
        # and /endpoints is /invocations once more.
        ("coverage", ("--exclude-path-regex", "{version}|endpoints"), 16),
    ],
)
def test_the_server_keeps_to_its_description(
    server: Server, tmp_path: Path, phase: str, flags: tuple[str, str], operations: int
) -> None:
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{server.url}/openapi.json"),
        *("--phases", phase, *flags, "--seed", "1", "--checks", ",".join(CHECKS)),
        *("--continue-on-failure", "--generation-database", "none", "--no-color"),
    ]
    hooks = "tests.integration.http.images_for_schemathesis"
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": hooks, "PYTHONPATH": str(REPOSITORY)}
    workers = server.all_workers()
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert f"Tested: {operations}" in done.stdout
    assert server.all_workers() == workers, "none of this has killed one"
