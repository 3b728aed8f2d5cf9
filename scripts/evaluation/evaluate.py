"""Evaluate a release on a data set and write a report: evaluations/MODEL-VERSION-on-DATA/.

For example:

    torchlight evaluate --model cells --data "new images"
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from handlers.classifier import Classifier
from models.release import Release, find
from scripts import cli
from training import data, metrics, recipe, report
from training.data.dataset import Dataset
from training.data.left_out import capped
from training.evaluate import caveat, evaluate, matched, ood_scores
from training.loop.distributed import own_device
from training.metrics.figures import Figures
from training.metrics.interval import Share
from training.report.words import percent, reach

ROOT = Path("evaluations")


def main(
    *,
    model: str = "digits",
    version: str | None = None,
    data: str | None = None,
    split: Literal["train", "calibration", "test"] = "test",
    ood_data: Annotated[str | None, Parameter(metavar="DATA")] = None,
    out: Path | None = None,
    device: str | None = None,
) -> None:
    """Evaluate the release that the flags name.

    Args:
        model: name of the model
        version: version of the release (default: the newest)
        data: data set, as for `torchlight train`; a subset of the classes is enough (default: the data of the release)
        split: split of the data set
        ood_data: out-of-distribution images, to measure how many are detected
        out: folder for the report (default: one below evaluations/)
        device: cpu, cuda:0, ... (default: a GPU if there is one)
    """
    release = find(model, version)
    run(release, data or own_data(release), split, ood_data=ood_data, out=out, device=device)


def run(
    release: Release,
    argument: str,
    split: str = "test",
    *,
    ood_data: str | None = None,
    out: Path | None = None,
    device: str | None = None,
) -> Figures:
    """Evaluate, print a table and write the report."""
    dataset, data_warnings = data.load(argument)
    card = release.card
    if dataset.sixteen_bits and (lost := dataset.sixteen_bits.warning(card.input.range_16bit)):
        data_warnings.append(lost)
    for sentence in capped(data_warnings, ", which the report will have"):
        print(sentence)
    pictures = matched(splits(dataset)[split], dataset.classes, card)
    caveat_sentence = caveat(card, dataset, split)
    classifier = Classifier.load(release.folder, own_device(device))
    test = evaluate(classifier, pictures)
    figures = metrics.figures(test, other := _ood_data(classifier, ood_data))
    suffix = "" if split == "test" else f"-{split}"
    out = out or ROOT / re.sub(r"[^\w.-]+", "-", f"{card.name}-{card.version}-on-{dataset.name}{suffix}")
    problems = report.write(
        out,
        report.Report(
            test=test,
            pictures=pictures,
            source=f"the {split} split of {dataset.name}",
            recipe=_recipe(release),
            ood_data=other,
            data_warnings=[*([caveat_sentence] if caveat_sentence else []), *data_warnings],
        ),
    )
    print(f"{card.name} {card.version} on the {split} split of {dataset.name}, {figures.images} images")
    print(table(figures))
    if caveat_sentence:
        print(f"note: {caveat_sentence}")
    for problem in problems:
        print(f"warning: {problem}")
    print(f"{out}/report.html")
    return figures


def own_data(release: Release) -> str:
    """Return the data set in the recipe of the release.

    Raises:
        ValueError: the release has no recipe, or the recipe names no data.
    """
    release_recipe = _recipe(release)
    if release_recipe is None or release_recipe["data"] is None:
        raise ValueError(f"{release.folder} does not say what it was trained on: give --data")
    return str(release_recipe["data"])


def splits(dataset: Dataset) -> dict[str, data.dataset.Split]:
    """Return the splits of a data set by name."""
    return {"train": dataset.train, "calibration": dataset.calibration, "test": dataset.test}


def table(figures: Figures) -> str:
    """Format the most important figures; shares have a 95 % interval."""
    rows = [("accuracy", *_share(figures.right)), ("loss", f"{figures.loss:.4f}", "nats")]
    rows.append(("calibration error", f"{figures.after.ece:.4f}", f"{figures.before.ece:.4f} without the temperature"))
    if figures.prediction_sets:
        value, interval = _share(figures.prediction_sets.coverage)
        promised = (
            f"{figures.prediction_sets.target:.0%} promised, {figures.prediction_sets.mean_size:.2f} classes on average"
        )
        rows.append(("coverage of prediction sets", value, f"{interval}; {promised}"))
    if figures.decisions:
        rows.append(("accepted", *_share(figures.decisions.accepted)))
        if figures.decisions.accuracy:
            rows.append(("accuracy of accepted", *_share(figures.decisions.accuracy)))
    if figures.ood_detection:
        rows.append(("false positive rate", *_share(figures.ood_detection.false_positive_rate)))
        if figures.ood_detection.detected:
            value, interval = _share(figures.ood_detection.detected)
            rows.append(
                (
                    f"detected of {figures.ood_detection.ood_data}",
                    value,
                    f"{interval}; AUROC {figures.ood_detection.auroc:.4f}",
                )
            )
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value:>8}  {detail}" for name, value, detail in rows)


def _share(share: Share) -> tuple[str, str]:
    return percent(share.value), reach(share)


def _recipe(release: Release) -> dict[str, object] | None:
    path = release.folder / recipe.FILE_NAME
    return recipe.load(str(path)).model_dump(mode="json") if path.exists() else None


def _ood_data(classifier: Classifier, argument: str | None) -> metrics.OodData | None:
    if argument is None:
        return None
    other, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        print(sentence)
    scores = ood_scores(classifier, other.test)
    if scores is None:
        card = classifier.card
        raise ValueError(
            f"{card.name} {card.version} has no `uncertainty` in its card, so it has no OOD score: leave --ood-data out"
        )
    return metrics.OodData(other.name, scores)


if __name__ == "__main__":
    cli.run("evaluate")
