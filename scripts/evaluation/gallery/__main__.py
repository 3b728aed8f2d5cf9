"""Explain every image of a folder in this process, without a server, and write a gallery to look through.

A run that was stopped goes on where it was: what is explained is not explained again.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tqdm import tqdm

from handlers.classifier import Classifier
from handlers.explain.plugin import AttributionPlugin
from handlers.pipeline import Pipeline
from models.printable import printable
from models.release import Release, find
from scripts.command import command
from scripts.evaluation.gallery import entry, folder, page
from training.data.left_out import capped, sentences
from training.loop.distributed import own_device

ROOT = Path("explanations")


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and explain."""
    parser = argparse.ArgumentParser(prog="python -m scripts.evaluation.gallery", description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="its JPEG, PNG and WebP files are explained, those of sub-folders too"
    )
    parser.add_argument("--model", default="digits", help="which model (default: digits)")
    parser.add_argument("--version", help="which release of it (default: the newest)")
    parser.add_argument("--out", type=Path, help=f"folder for the gallery (default: one below {ROOT}/)")
    parser.add_argument("--method", help="attribution method (default: the model's own)")
    parser.add_argument("--restart", action="store_true", help="explain again what is explained already")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: a GPU where there is one)")
    arguments = parser.parse_args(argv)
    run(
        find(arguments.model, arguments.version),
        arguments.folder,
        out=arguments.out,
        method=arguments.method,
        restart=arguments.restart,
        device=arguments.device,
    )


def run(
    release: Release,
    where: Path,
    *,
    out: Path | None = None,
    method: str | None = None,
    restart: bool = False,
    device: str | None = None,
) -> list[entry.Entry]:
    """Explain the images that are not explained yet, and write the page of all."""
    card = release.card
    out = out or ROOT / re.sub(r"[^\w.-]+", "-", f"{card.name}-{card.version}-on-{where.resolve().name}")
    listing = folder.images(where, out)
    names = listing.images
    for sentence in capped(sentences(listing.left_out, len(names))):
        print(sentence)
    # Nobody else waits for an answer: the server's time limit would only refuse images.
    plugin = AttributionPlugin(classifier := Classifier.load(release.folder, own_device(device)))
    pipeline = Pipeline(classifier, lambda _: plugin, budget_seconds=float("inf"))
    method = method or plugin.explainer.default
    asked = f"{card.name} {card.version}, {method}"
    found = {} if restart else entry.read(out)
    found = {
        name: kept for name, kept in found.items() if kept.asked == asked and kept.sha256 == folder.sha256(where / name)
    }
    left = [name for name in names if name not in found]
    out.mkdir(parents=True, exist_ok=True)
    with (
        (out / entry.FILE_NAME).open("w" if restart else "a", encoding="utf-8") as file,
        tqdm(total=len(names), initial=len(names) - len(left), unit="image", disable=None) as bar,
    ):
        for one in folder.explain(pipeline, where, left, out, {"method": method}, asked):
            found[one.image] = one
            file.write(one.line)
            file.flush()
            bar.update()
    entries = [found[name] for name in names]
    entry.write(out, entries)
    shown = page.write(out, where, card, method, entries)
    told = [one for one in shown if one.truth is not None]
    kept = len(names) - len(left)
    print(f"{asked}: {len(shown)} of {len(names)} images explained" + (f", {kept} of them before" if kept else ""))
    if told:
        print(f"{sum(one.wrong for one in told)} of {len(told)} answers are wrong, by the names of the folders")
    for one in [one for one in entries if one.error]:
        print(f"not explained: {printable(one.image)}: {one.error}")
    print(out / page.FILE_NAME)
    return entries


if __name__ == "__main__":
    main()
