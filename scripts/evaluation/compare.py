"""Compare two releases on the same test images: which is better, and can the difference be chance?"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from handlers.classifier import Classifier
from models.release import Release, find
from scripts.command import command
from scripts.evaluation.evaluate import own_data
from training import data
from training.compare import Comparison, Difference, compare
from training.data.dataset import Split
from training.data.left_out import capped
from training.evaluate import caveat, evaluate, matched
from training.loop.distributed import own_device

# Names of images on which the two differ that are printed; --json has all of them.
SHOWN = 20


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and compare."""
    parser = argparse.ArgumentParser(prog="python -m scripts.evaluation.compare", description=__doc__)
    parser.add_argument("a", metavar="A", help="a release, such as cells/1.0; without its version, the newest")
    parser.add_argument("b", metavar="B", help="the other one, such as cells/2.0")
    parser.add_argument("--data", help="whose test split both answer: as of scripts.train (default: A's own data)")
    parser.add_argument("--device", help="cpu, cuda:0, ... (default: a GPU where there is one)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs, with the names of all images")
    arguments = parser.parse_args(argv)
    a, b = named(arguments.a), named(arguments.b)
    run(a, b, arguments.data or own_data(a), device=arguments.device, as_json=arguments.json)


def named(text: str) -> Release:
    """The release that `model/version` names, or the newest of `model`.

    Raises:
        ReleaseError: there is none.
    """
    model, slash, version = text.strip("/").removeprefix("releases/").partition("/")
    return find(model, version if slash else None)


def run(a: Release, b: Release, argument: str, *, device: str | None = None, as_json: bool = False) -> Comparison:
    """Let both answer, and print what came of it."""
    if set(a.card.classes) != set(b.card.classes):
        raise ValueError(f"the two have different classes: {_classes(a)}; {_classes(b)}")
    dataset, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        print(sentence, file=sys.stderr)  # what --json prints stays JSON
    place = own_device(device)
    first, second = (
        evaluate(Classifier.load(each.folder, place), matched(dataset.test, dataset.classes, each.card))
        for each in (a, b)
    )
    found = compare(first, second)
    caveats = [said for each in (a, b) if (said := caveat(each.card, dataset, "test"))]
    if as_json:
        print(json.dumps(document(found, dataset.test, caveats), indent=2, ensure_ascii=False))
        return found
    print(f"A = {_name(a)}, B = {_name(b)}: {found.images} images of the test split of {dataset.name}")
    print(table(found))
    for letter, places in (("A", found.only_a), ("B", found.only_b)):
        for place_ in places[:SHOWN]:
            print(f"right by {letter} alone: {dataset.test.name(place_)}")
        if len(places) > SHOWN:
            print(f"and {len(places) - SHOWN} more")
    for sentence in caveats:
        print(f"note: {sentence}")
    print(f"accuracy: {found.verdict}")
    print(f"probabilities: {found.verdict_on_probabilities}")
    return found


def table(found: Comparison) -> str:
    """Accuracy and loss of both, with the difference and its 95 % interval; and the test."""
    accuracy, loss = found.accuracy, found.loss
    rows = [
        ("", "A", "B", "B - A", "95 % interval"),
        (
            "right answers",
            f"{found.a.accuracy:.2%}",
            f"{found.b.accuracy:.2%}",
            *_cells(Difference(100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high), ".2f", " points"),
        ),
        ("loss (nats)", f"{found.a.loss:.4f}", f"{found.b.loss:.4f}", *_cells(loss, ".4f", "")),
        ("right alone", f"{len(found.only_a)}", f"{len(found.only_b)}", "", f"McNemar's p = {found.p_value:.3g}"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def document(found: Comparison, split: Split, caveats: list[str]) -> dict[str, object]:
    """What --json prints; differences are B minus A, losses in nats."""
    return {
        "images": found.images,
        "accuracy": {"a": found.a.accuracy, "b": found.b.accuracy, "difference": asdict(found.accuracy)},
        "loss": {"a": found.a.loss, "b": found.b.loss, "difference": asdict(found.loss)},
        "p_value": found.p_value,
        "verdict": found.verdict,
        "verdict_on_probabilities": found.verdict_on_probabilities,
        "images_needed_for_one_point": found.needed,
        "right_by_a_alone": [split.name(place) for place in found.only_a],
        "right_by_b_alone": [split.name(place) for place in found.only_b],
        "caveats": caveats,
    }


def _cells(difference: Difference, form: str, unit: str) -> tuple[str, str]:
    return f"{difference.value:+{form}}{unit}", f"{difference.low:+{form}} to {difference.high:+{form}}"


def _name(release: Release) -> str:
    return f"{release.card.name} {release.card.version}"


def _classes(release: Release) -> str:
    names = release.card.classes
    return f"{_name(release)} knows {', '.join(names[:20])}{' and more' if len(names) > 20 else ''}"


if __name__ == "__main__":
    main()
