"""Archiving of a release as a .mar: by torch-model-archiver, byte-reproducible, and tested before it is published."""

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

# Packages that are copied into the .mar, so that two versions can have different code at the same time.
REPOSITORY = Path(__file__).resolve().parents[2]
CODE = ("handlers", "models")
ENTRY = REPOSITORY / "handlers" / "torchserve_handler.py"
# The earliest time of a zip entry: the .mar must not depend on the time of archiving.
EPOCH = (1980, 1, 1, 0, 0, 0)

# Runs in a separate, isolated interpreter (-I), with the unpacked .mar first on its path.
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
    """Write `<model>-<version>.mar` and its `.sha256` to the store; return the path and the number of golden answers.

    The file gets its name only when it is complete and tested. The same release, code and config give the same bytes.

    Args:
        neighbors: False leaves out the training images that explanations show beside an image.

    Raises:
        ReleaseError: the release is incomplete, or the store has its version in another spelling.
        ArchiveError: the config has a policy that does not fit the card; the archiver failed; or the archive does not
            reproduce its golden answers.
    """
    verify_digests(release.folder, release.card)
    _check_policy(release, config)
    if not neighbors:
        digests = {name: digest for name, digest in release.card.digests.items() if name != NEIGHBORS}
        release = replace(release, card=release.card.model_copy(update={"digests": digests}))
    name, version = release.card.name, release.card.version
    check_spelling(name, version, store.versions(name, root), f"in {root}/")
    target = store.path_of(name, version, root)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="torchlight-archive-") as scratch:
        stage = _stage(release, config, Path(scratch) / "stage")
        archived = _run_archiver(release, stage, Path(scratch))
        draft = root / f".{target.name}.{os.getpid()}"
        digest_draft = draft.with_name(f"{draft.name}.sha256")
        try:
            _normalize(archived, draft, created=release.card.created)
            count = prove(draft)
            digest = sha256(draft)
            digest_draft.write_text(f"{digest}  {target.name}\n", encoding="ascii")
            draft.replace(target)
            digest_draft.replace(store.digest_file(target))
        finally:
            draft.unlink(missing_ok=True)
            digest_draft.unlink(missing_ok=True)
    return target, count


def _check_policy(release: Release, config: ModelConfig) -> None:
    """Check that a policy in the config fits the card.

    Raises:
        ArchiveError: the card has no `uncertainty`, or the policy refers by prediction sets that the model lacks.
    """
    if config.handler is None or "policy" not in config.handler.model_fields_set:
        return
    uncertainty, size = release.card.uncertainty, config.handler.policy.max_set_size
    if uncertainty is None:
        raise ArchiveError(
            f"the settings have a policy, but the card of {release.folder} has no uncertainty: leave `policy` "
            "out, or train the model again"
        )
    if uncertainty.conformal is None and size is not None:
        raise ArchiveError(
            f"the settings have policy.max_set_size {size}, but the model of {release.folder} gives no prediction sets "
            f"({uncertainty.no_sets_reason}): leave `max_set_size` out"
        )


def prove(path: Path) -> int:
    """Unpack a .mar, predict its golden images with its own code only, and return their number.

    Raises:
        ArchiveError: the file is not a .mar, or an answer differs; the message ends in the interpreter's last line.
    """
    with tempfile.TemporaryDirectory(prefix="torchlight-proof-") as scratch:
        with mar.opened(path) as file:
            file.extractall(scratch)
        completed = subprocess.run(
            [sys.executable, "-I", "-B", "-c", _PROOF, scratch], cwd=scratch, capture_output=True, text=True
        )
    if completed.returncode != 0:
        last = (completed.stderr.strip().splitlines() or ["no output"])[-1]
        raise ArchiveError(f"{path.name}: the archive does not reproduce its golden answers: {last}")
    count, *remarks = completed.stdout.splitlines()
    for remark in remarks:
        logger.warning("%s", remark)
    return int(count)


def _stage(release: Release, config: ModelConfig, stage: Path) -> Path:
    """Copy everything that goes into the .mar into a folder, and return it."""
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
    """Run torch-model-archiver in a separate TMPDIR: it deletes `$TMPDIR/<model name>`."""
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
    completed = subprocess.run(command, env=environment, capture_output=True, text=True)
    if completed.returncode != 0:
        last = (completed.stderr.strip().splitlines() or ["no output"])[-1]
        raise ArchiveError(f"torch-model-archiver failed on {release.folder}: {last}")
    return scratch / "out" / f"{release.card.name}.mar"


def _normalize(archived: Path, target: Path, *, created: str) -> None:
    """Rewrite the archive without the values that differ between runs: order, times, modes and `createdOn`.

    Members are stored, not deflated: weights do not shrink, and zlib's output differs between versions.
    """
    with zipfile.ZipFile(archived) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as out:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == mar.MANIFEST:
                manifest = parse_json(content, name)
                manifest["createdOn"] = created
                content = json.dumps(manifest, indent=2, sort_keys=True).encode()
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            out.writestr(entry, content)
