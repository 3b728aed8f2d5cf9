"""Explain every image of a folder in this process, without a server, and write a gallery to look through.

An interrupted run continues: images that are already explained are skipped.

For example:

    torchlight gallery "new images" --model cells
"""

from __future__ import annotations

import re
from pathlib import Path

from tqdm import tqdm

from handlers.classifier import Classifier
from handlers.explain.plugin import AttributionPlugin
from handlers.pipeline import Pipeline
from models.printable import printable
from models.release import Release, find
from scripts import cli
from scripts.evaluation.gallery import entry, folder, page
from training.data.left_out import capped, sentences
from training.loop.distributed import own_device

ROOT = Path("explanations")


def main(
    folder: Path,
    /,
    *,
    model: str = "digits",
    version: str | None = None,
    out: Path | None = None,
    method: str | None = None,
    restart: bool = False,
    device: str | None = None,
) -> None:
    """Explain the images of the folder.

    Args:
        folder: folder of JPEG, PNG and WebP files, with its sub-folders
        model: name of the model
        version: version of the release (default: the newest)
        out: folder for the gallery (default: one below explanations/)
        method: attribution method (default: the default of the model)
        restart: explain all images again
        device: cpu, cuda:0, ... (default: a GPU if there is one)
    """
    run(find(model, version), folder, out=out, method=method, restart=restart, device=device)


def run(
    release: Release,
    image_folder: Path,
    *,
    out: Path | None = None,
    method: str | None = None,
    restart: bool = False,
    device: str | None = None,
) -> list[entry.Entry]:
    """Explain the images that are not explained yet, and write the page of all images."""
    card = release.card
    out = out or ROOT / re.sub(r"[^\w.-]+", "-", f"{card.name}-{card.version}-on-{image_folder.resolve().name}")
    listing = folder.images(image_folder, out)
    names = listing.images
    for sentence in capped(sentences(listing.left_out, len(names))):
        print(sentence)
    # There are no other requests, so the time limit of the server is off.
    plugin = AttributionPlugin(classifier := Classifier.load(release.folder, own_device(device)))
    pipeline = Pipeline(classifier, lambda _: plugin, budget_seconds=float("inf"))
    method = method or plugin.explainer.default
    config = f"{card.name} {card.version}, {method}"
    by_name = {} if restart else entry.read(out)
    by_name = {
        name: previous
        for name, previous in by_name.items()
        if previous.config == config and previous.sha256 == folder.sha256(image_folder / name)
    }
    missing = [name for name in names if name not in by_name]
    out.mkdir(parents=True, exist_ok=True)
    with (
        (out / entry.FILE_NAME).open("w" if restart else "a", encoding="utf-8") as file,
        tqdm(total=len(names), initial=len(names) - len(missing), unit="image", disable=None) as bar,
    ):
        for new_entry in folder.explain(pipeline, image_folder, missing, out, {"method": method}, config):
            by_name[new_entry.image] = new_entry
            file.write(new_entry.line)
            file.flush()
            bar.update()
    entries = [by_name[name] for name in names]
    entry.write(out, entries)
    cards = page.write(out, image_folder, card, method, entries)
    labeled = [image_card for image_card in cards if image_card.truth is not None]
    skipped = len(names) - len(missing)
    print(
        f"{config}: {len(cards)} of {len(names)} images explained" + (f", {skipped} of them before" if skipped else "")
    )
    if labeled:
        wrong = sum(image_card.wrong for image_card in labeled)
        print(f"{wrong} of {len(labeled)} predictions are wrong, according to the names of the folders")
    for failed in [image_entry for image_entry in entries if image_entry.error]:
        print(f"not explained: {printable(failed.image)}: {failed.error}")
    print(out / page.FILE_NAME)
    return entries


if __name__ == "__main__":
    cli.run("gallery")
