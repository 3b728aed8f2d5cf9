"""Archive a release as model_store/<model>-<version>.mar, and test the archive."""

from __future__ import annotations

import argparse
from pathlib import Path

from models.release import find, versions
from scripts.command import command
from serving.artifacts import model_config, store
from serving.artifacts.archive import archive
from serving.artifacts.model_config import ModelConfig

# The model that is trained if it has no release: scikit-learn contains its data.
BUNDLED = "digits"


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and archive."""
    parser = argparse.ArgumentParser(prog="python -m scripts.archive", description=__doc__)
    parser.add_argument(
        "--model",
        default=BUNDLED,
        help=f"name of the model (default: {BUNDLED}); {BUNDLED} is trained first if it has no release",
    )
    parser.add_argument("--version", help="version of its release (default: the newest)")
    parser.add_argument(
        "--config",
        type=Path,
        help="YAML file of TorchServe settings, such as batchSize (default: those of the release)",
    )
    parser.add_argument("--store", type=Path, default=store.ROOT, help="folder for the .mar (default: model_store)")
    parser.add_argument(
        "--without-neighbors",
        action="store_true",
        help="leave out the thumbnails of training images that explanations show, for example if they are private",
    )
    arguments = parser.parse_args(argv)
    config = model_config.load(arguments.config) if arguments.config else None
    neighbors = not arguments.without_neighbors
    run(arguments.model, arguments.version, config, arguments.store, neighbors=neighbors)


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
        from scripts import train  # only here: torch and scikit-learn take seconds to import

        train.main(["--model", model, "--version", version or "1.0"])
    release = find(model, version)
    config = config or model_config.of_release(release.folder)
    path, count = archive(release, config, root, neighbors=neighbors)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {count} golden answers reproduced")


if __name__ == "__main__":
    main()
