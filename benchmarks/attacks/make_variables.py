"""Values of make variables that a shell, or make, would execute or split."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from benchmarks.attacks.finding import Finding

REPOSITORY = Path(__file__).resolve().parents[2]
VALUES = (
    "{folder}/my photos",
    "{folder}/R&D",
    "{folder}/a; touch {marker}",
    "{folder}/$(touch {marker})",
    "{folder}/$(shell touch {marker})",
    "{folder}/`touch {marker}`",
    "{folder}/' ; touch {marker} ; '",
    '{folder}/" ; touch {marker} ; "',
    "{folder}/a | touch {marker}",
    "{folder}/a > {marker}",
)


def run_targets() -> Finding:
    """Train on missing folders. Count the values that reach the command unchanged, and check that none is executed."""
    arrived = 0
    with tempfile.TemporaryDirectory() as name:
        marker = Path(name) / "executed"
        for value in VALUES:
            data = value.format(folder=name, marker=marker)
            command = ["make", "--no-print-directory", "train", "MODEL=attacked", f"DATA={data}"]
            process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
            arrived += data in process.stderr
        executed = marker.exists()
    measured = (
        f"{arrived} of {len(VALUES)} values reached the command unchanged, "
        f"{'some' if executed else 'none'} was executed"
    )
    return Finding("shell injection through make variables", measured, arrived == len(VALUES) and not executed)
