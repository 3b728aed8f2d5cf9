from __future__ import annotations

import resource
import subprocess
import sys

import pytest

from serving.proxy import open_files

# In a process of its own: a hard limit that was lowered stays so.
PROGRAM = """
import resource, sys
from serving.proxy import open_files
soft, hard, configured = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
possible = open_files.max_connections(configured)
print(possible, resource.getrlimit(resource.RLIMIT_NOFILE)[0], open_files.fewer(possible, configured), sep="|")
"""


@pytest.mark.parametrize(
    ("soft", "hard", "configured", "possible", "soft_after"),
    [
        (8192, 8192, 2048, 2048, 8192),
        (1024, 8192, 2048, 2048, 4224),
        (1024, 1024, 2048, 448, 1024),
        (256, 512, 2048, 192, 512),
        (100, 128, 2048, 16, 128),
    ],
)
def test_connections_follow_from_the_limit_of_open_files(
    soft: int, hard: int, configured: int, possible: int, soft_after: int
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard), str(configured)]
    count, limit, sentence = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("|")
    assert (int(count), int(limit)) == (possible, soft_after)
    if possible == configured:
        assert sentence.strip() == "None"
    else:
        assert sentence.startswith(f"at most {possible} connections, not {configured}: the hard limit of open files")


def test_sufficient_limit_of_open_files_gives_no_sentence() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] != 0
    assert open_files.fewer(2048, 2048) is None
