"""Archive a release as model_store/MODEL-VERSION.mar, and test the archive.

For example:

    torchlight archive --model cells --version 2.0
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from models.release import find, versions
from scripts import cli
from serving.artifacts import model_config, store
from serving.artifacts.archive import archive
from serving.artifacts.model_config import ModelConfig

# The model that is trained if it has no release: scikit-learn contains its data.
BUNDLED = "digits"


def main(
    *,
    model: str = BUNDLED,
    version: str | None = None,
    config: Path | None = None,
    store_folder: Annotated[Path, Parameter(name="--store")] = store.ROOT,
    without_neighbors: bool = False,
) -> None:
    """Archive the release that the flags name.

    Args:
        model: name of the model; digits is trained first if it has no release
        version: version of its release (default: the newest)
        config: YAML file of TorchServe settings, such as batchSize (default: those of the release)
        store_folder: folder for the .mar
        without_neighbors: leave out the thumbnails of training images that explanations show, for example if they are
            private
    """
    settings = model_config.load(config) if config else None
    run(model, version, settings, store_folder, neighbors=not without_neighbors)


def run(
    model: str,
    version: str | None,
    config: ModelConfig | None = None,
    root: Path = store.ROOT,
    *,
    neighbors: bool = True,
) -> None:
    """Archive a release, after training the bundled model if it has none, and print the result."""
    if model == BUNDLED and not versions(model):
        cli.main(["train", "--model", model, "--version", version or "1.0"])
    release = find(model, version)
    config = config or model_config.of_release(release.folder)
    path, count = archive(release, config, root, neighbors=neighbors)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {count} golden answers reproduced")


if __name__ == "__main__":
    cli.run("archive")
