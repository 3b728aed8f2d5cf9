"""Compare two releases on the same test images, with confidence intervals and a significance test.

For example:

    torchlight compare cells/1.0 cells/2.0
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from handlers.classifier import Classifier
from models.release import Release, find
from scripts import cli
from scripts.evaluation.evaluate import own_data
from training import data
from training.compare import Comparison, Difference, compare
from training.data.dataset import Split
from training.data.left_out import capped
from training.evaluate import caveat, evaluate, matched
from training.loop.distributed import own_device

# Largest number of image names to print; --json has all of them.
MAX_NAMES = 20


def main(
    a: str,
    b: str,
    /,
    *,
    data: str | None = None,
    device: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Compare the releases.

    Args:
        a: a release, such as cells/1.0; without a version, the newest
        b: the other release, such as cells/2.0
        data: data set with the test split, as for `torchlight train` (default: the data of A)
        device: cpu, cuda:0, ... (default: a GPU if there is one)
        as_json: print JSON with the names of all images
    """
    first, second = named(a), named(b)
    run(first, second, data or own_data(first), device=device, as_json=as_json)


def named(text: str) -> Release:
    """Return the release `model/version`, or the newest release of `model`.

    Raises:
        ReleaseError: the release does not exist.
    """
    model, slash, version = text.strip("/").removeprefix("releases/").partition("/")
    return find(model, version if slash else None)


def run(a: Release, b: Release, argument: str, *, device: str | None = None, as_json: bool = False) -> Comparison:
    """Evaluate both releases and print the comparison."""
    if set(a.card.classes) != set(b.card.classes):
        raise ValueError(f"the releases have different classes: {_classes(a)}; {_classes(b)}")
    dataset, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        print(sentence, file=sys.stderr)  # stdout is only JSON with --json
    torch_device = own_device(device)
    first, second = (
        evaluate(Classifier.load(release.folder, torch_device), matched(dataset.test, dataset.classes, release.card))
        for release in (a, b)
    )
    comparison = compare(first, second)
    caveats = [caveat_sentence for release in (a, b) if (caveat_sentence := caveat(release.card, dataset, "test"))]
    if as_json:
        print(json.dumps(document(comparison, dataset.test, caveats), indent=2, ensure_ascii=False))
        return comparison
    print(f"A = {_name(a)}, B = {_name(b)}: {comparison.images} images of the test split of {dataset.name}")
    print(table(comparison))
    for letter, rows in (("A", comparison.only_a), ("B", comparison.only_b)):
        for row in rows[:MAX_NAMES]:
            print(f"only {letter} is right: {dataset.test.name(row)}")
        if len(rows) > MAX_NAMES:
            print(f"and {len(rows) - MAX_NAMES} more")
    for sentence in caveats:
        print(f"note: {sentence}")
    print(f"accuracy: {comparison.verdict}")
    print(f"probabilities: {comparison.verdict_on_probabilities}")
    return comparison


def table(comparison: Comparison) -> str:
    """Format accuracy and loss of both, the difference with its 95 % interval, and the p-value."""
    accuracy, loss = comparison.accuracy, comparison.loss
    rows = [
        ("", "A", "B", "B - A", "95 % interval"),
        (
            "accuracy",
            f"{comparison.a.accuracy:.2%}",
            f"{comparison.b.accuracy:.2%}",
            *_cells(Difference(100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high), ".2f", " points"),
        ),
        ("loss (nats)", f"{comparison.a.loss:.4f}", f"{comparison.b.loss:.4f}", *_cells(loss, ".4f", "")),
        (
            "only one right",
            f"{len(comparison.only_a)}",
            f"{len(comparison.only_b)}",
            "",
            f"McNemar's p = {comparison.p_value:.3g}",
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def document(comparison: Comparison, split: Split, caveats: list[str]) -> dict[str, object]:
    """Return the JSON document of --json; differences are B minus A, losses in nats."""
    return {
        "images": comparison.images,
        "accuracy": {"a": comparison.a.accuracy, "b": comparison.b.accuracy, "difference": asdict(comparison.accuracy)},
        "loss": {"a": comparison.a.loss, "b": comparison.b.loss, "difference": asdict(comparison.loss)},
        "p_value": comparison.p_value,
        "verdict": comparison.verdict,
        "verdict_on_probabilities": comparison.verdict_on_probabilities,
        "images_needed_for_one_point": comparison.needed,
        "right_by_a_alone": [split.name(row) for row in comparison.only_a],
        "right_by_b_alone": [split.name(row) for row in comparison.only_b],
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
    cli.run("compare")
