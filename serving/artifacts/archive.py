"""Release -> .mar: through torch-model-archiver, reproducible to the byte, and proved before it is called done."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from models import golden
from models.documents import parse_json
from models.release import NEIGHBORS, WEIGHTS, Release, check_spelling, sha256, verify_digests
from serving.artifacts import mar, store
from serving.artifacts.model_config import FILE_NAME as CONFIG_FILE
from serving.artifacts.model_config import ModelConfig
from serving.errors import ArchiveError

logger = logging.getLogger(__name__)

# The packages whose code answers; they travel in the .mar, so two versions may preprocess differently side by side.
REPOSITORY = Path(__file__).resolve().parents[2]
CODE = ("handlers", "models")
ENTRY = REPOSITORY / "handlers" / "torchserve_handler.py"
# The earliest time that a zip file can hold: the .mar must not depend on when it was made.
EPOCH = (1980, 1, 1, 0, 0, 0)

# Runs in an interpreter of its own, isolated (-I), with the unpacked .mar first on its path.
_PROOF = """
import sys
from pathlib import Path
root = Path(sys.argv[1])
sys.path.insert(0, str(root))
import handlers, models
for package in (handlers, models):
    assert Path(package.__file__).is_relative_to(root), f"{package.__name__} comes from {package.__file__}"
from models.card import Card
from models.release import verify_digests
card = Card.load(root)
verify_digests(root, card)
from functools import partial
import torch
from handlers import golden_answers
from handlers.classifier import Classifier
from handlers.engines import selection
print(golden_answers.check(root, Classifier.load(root)))
if card.engines:
    device = torch.device("cpu")
    load_engine = partial(golden_answers.load_checked, root, device)
    for name, reason in selection.load(card, device, load_engine).passed_over.items():
        print(f"engine {name} does not answer on this machine: it {reason}")
"""


def archive(
    release: Release, config: ModelConfig, root: Path = store.ROOT, *, neighbors: bool = True
) -> tuple[Path, int]:
    """Make `<model>-<version>.mar` and its `.sha256` in the store; returns its path and how many golden answers held.

    The file appears under its name only when it is whole and proved. The same release, code and config give the same
    bytes.

    Args:
        neighbors: off leaves out the training images that explanations show beside an image.

    Raises:
        ReleaseError: the release is not whole, or the store has its version in another spelling.
        ArchiveError: the config has a policy, but the card no `uncertainty`; the archiver failed; the golden answers do
            not come out of the archive.
    """
    verify_digests(release.folder, release.card)
    if config.handler is not None and "policy" in config.handler.model_fields_set and release.card.uncertainty is None:
        raise ArchiveError(
            f"the settings have a policy, but the card of {release.folder} has no uncertainty: leave `policy` "
            "out, or train the model again"
        )
    if not neighbors:
        kept = {name: digest for name, digest in release.card.digests.items() if name != NEIGHBORS}
        release = replace(release, card=release.card.model_copy(update={"digests": kept}))
    name, version = release.card.name, release.card.version
    check_spelling(name, version, store.versions(name, root), f"in {root}/")
    target = store.path_of(name, version, root)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="torchlight-archive-") as scratch:
        stage = _stage(release, config, Path(scratch) / "stage")
        made = _run_archiver(release, stage, Path(scratch))
        draft = root / f".{target.name}.{os.getpid()}"
        vouching = draft.with_name(f"{draft.name}.sha256")
        try:
            _normalize(made, draft, created=release.card.created)
            count = prove(draft)
            digest = sha256(draft)
            vouching.write_text(f"{digest}  {target.name}\n", encoding="ascii")
            draft.replace(target)
            vouching.replace(store.digest_file(target))
        finally:
            draft.unlink(missing_ok=True)
            vouching.unlink(missing_ok=True)
    return target, count


def prove(path: Path) -> int:
    """Unpack a .mar and answer its golden images with its own code alone; returns how many there are.

    Raises:
        ArchiveError: the file is no .mar, or an answer is wrong; the message ends in the interpreter's last line.
    """
    with tempfile.TemporaryDirectory(prefix="torchlight-proof-") as scratch:
        with mar.opened(path) as file:
            file.extractall(scratch)
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", _PROOF, scratch], cwd=scratch, capture_output=True, text=True
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ArchiveError(f"{path.name}: its golden answers do not come out of the archive: {last}")
    count, *remarks = done.stdout.splitlines()
    for remark in remarks:
        logger.warning("%s", remark)
    return int(count)


def _stage(release: Release, config: ModelConfig, stage: Path) -> Path:
    """Everything that goes into the .mar, in the folder structure that it has there."""
    stage.mkdir()
    for package in CODE:
        shutil.copytree(REPOSITORY / package, stage / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copytree(release.folder / golden.FOLDER, stage / golden.FOLDER)
    for name in sorted(release.card.digests.keys() - {WEIGHTS}):
        (stage / name).parent.mkdir(exist_ok=True)
        shutil.copy(release.folder / name, stage / name)
    release.card.save(stage)
    (stage.parent / CONFIG_FILE).write_text(config.archived(), encoding="utf-8")
    return stage


def _run_archiver(release: Release, stage: Path, scratch: Path) -> Path:
    """Run torch-model-archiver, in a TMPDIR of its own: it removes what is at `$TMPDIR/<model name>`."""
    (scratch / "tmp").mkdir()
    (scratch / "out").mkdir()
    command = [
        *(sys.executable, "-m", "model_archiver.model_packaging"),
        *("--model-name", release.card.name),
        *("--version", release.card.version),
        *("--handler", str(ENTRY)),
        *("--serialized-file", str(release.folder / WEIGHTS)),
        *("--extra-files", str(stage)),
        *("--config-file", str(scratch / CONFIG_FILE)),
        *("--export-path", str(scratch / "out")),
    ]
    environment = {**os.environ, "TMPDIR": str(scratch / "tmp")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise ArchiveError(f"torch-model-archiver failed on {release.folder}: {last}")
    return scratch / "out" / f"{release.card.name}.mar"


def _normalize(made: Path, target: Path, *, created: str) -> None:
    """Write the archive again with what differs from run to run taken out: order, times, modes, `createdOn`.

    Stored, not deflated: weights do not shrink, and zlib's output differs between its versions.
    """
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == mar.MANIFEST:
                manifest = parse_json(content, name)
                manifest["createdOn"] = created
                content = json.dumps(manifest, indent=2, sort_keys=True).encode()
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            out.writestr(entry, content)
