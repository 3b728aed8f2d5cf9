"""A worker that only predicts never imports the explanation plug-in, nor the libraries that it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.release import Release
from training.data import Dataset

ROOT = Path(__file__).resolve().parents[4]
# Loads the handler, answers a request of each kind that is named, and prints which of these modules were imported.
WORKER = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from handlers.torchserve_handler import ImageClassifier
from tests.unit.handlers.torchserve.stand_in import Context

folder, image, *kinds = sys.argv[1:]
handler = ImageClassifier()
handler.initialize(Context(folder))
headers = [{"explain": "True"} if kind == "explain" else {"x-top-k": "2"} for kind in kinds]
context = Context(headers=headers)
handler.handle([{"body": bytearray(Path(image).read_bytes())} for _ in kinds], context)
assert [context.statuses[index][0] for index in range(len(kinds))] == [200] * len(kinds)
imported = [name for name in ("captum", "matplotlib", "handlers.explain") if name in sys.modules]
print(json.dumps(imported))
"""


def imported(release: Release, content: bytes, folder: Path, *kinds: str) -> set[str]:
    """Return which of the modules a new worker imports that answers requests of these kinds."""
    image = folder / "image.png"
    image.write_bytes(content)
    command = [sys.executable, "-c", WORKER, str(release.folder), str(image), *kinds]
    worker = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert worker.returncode == 0, worker.stderr
    return set(json.loads(worker.stdout.splitlines()[-1]))


@pytest.mark.slow
def test_predictions_import_neither_the_plug_in_nor_captum(release: Release, digits: Dataset, tmp_path: Path) -> None:
    assert imported(release, digits.test.images[0], tmp_path, "predict", "predict") == set()


@pytest.mark.slow
def test_the_first_explanation_imports_them(release: Release, digits: Dataset, tmp_path: Path) -> None:
    names = imported(release, digits.test.images[0], tmp_path, "predict", "explain")
    assert {"captum", "handlers.explain"} <= names
