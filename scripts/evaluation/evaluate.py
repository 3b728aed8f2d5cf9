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
from training.data.dataset import Dataset, Split
from training.data.left_out import capped
from training.evaluate import caveat, evaluate, matched, ood_scores
from training.loop.distributed import own_device
from training.metrics.battery import measure_battery
from training.metrics.figures import Figures
from training.metrics.interval import Share
from training.report import verdict
from training.report.words import portion, reach

ROOT = Path("evaluations")
# What the measured referral shows, for the table.
HELP = {
    "helps": "more than chance",
    "does not help": "not more than chance, so referral does not help",
    "cannot be shown": "too few mistakes to show whether referral helps",
    "refers nothing": "nothing is referred",
}


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
        ood_data: out-of-distribution images of your own, to measure how many are detected
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
    if dataset.sixteen_bits and (lost := dataset.sixteen_bits.warning(card.input.window)):
        data_warnings.append(lost)
    for sentence in capped(data_warnings, ", which the report will have"):
        print(sentence)
    pictures = matched(splits(dataset)[split], dataset.classes, card)
    caveat_sentence = caveat(card, dataset, split)
    classifier = Classifier.load(release.folder, own_device(device))
    test = evaluate(classifier, pictures)
    other = _ood_data(ood_data)
    scores = _ood_scores(classifier, other)
    figures = metrics.figures(test, scores)
    battery = measure_battery(classifier, pictures, other)
    suffix = "" if split == "test" else f"-{split}"
    out = out or ROOT / re.sub(r"[^\w.-]+", "-", f"{card.name}-{card.version}-on-{dataset.name}{suffix}")
    content = report.Report(
        test=test,
        pictures=pictures,
        source=f"the {split} split of {dataset.name}",
        recipe=_recipe(release),
        ood_data=scores,
        battery=battery,
        caveat=caveat_sentence,
        data_warnings=[*([caveat_sentence] if caveat_sentence else []), *data_warnings],
    )
    problems = report.write(out, content, figures)
    print(f"{card.name} {card.version} on the {split} split of {dataset.name}, {figures.images} images")
    print(table(figures))
    print(" ".join(verdict.sentences(content, figures)))
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


def splits(dataset: Dataset) -> dict[str, Split]:
    """Return the splits of a data set by name."""
    return {"train": dataset.train, "calibration": dataset.calibration, "test": dataset.test}


def table(figures: Figures) -> str:
    """Format the most important figures; shares have their count and a 95 % interval."""
    after, before = figures.after, figures.before
    rows = [("accuracy", *_share(figures.right)), ("loss", f"{figures.loss:.4f}", "nats")]
    rows.append(
        (
            "calibration error",
            f"{after.ece:.4f}",
            f"{after.ece_low:.4f} to {after.ece_high:.4f}; a perfectly calibrated model shows up to "
            f"{after.ece_calibrated_high:.4f}"
            + (f"; {before.ece:.4f} without the temperature" if after != before else ""),
        )
    )
    if (sets := figures.prediction_sets) is not None:
        value, detail = _share(sets.coverage)
        target = f"{100 * sets.target:.3g} % is the target, {sets.mean_size:.2f} classes on average"
        rows.append(("coverage of prediction sets", value, f"{detail}; {target}"))
    if (referral := figures.referral) is not None:
        rows.append(("referred", *_share(referral.policy.referred)))
        if referral.policy.caught:
            value, detail = _share(referral.policy.caught)
            rows.append(("mistakes caught", value, f"{detail}; {HELP[referral.help]}"))
        if referral.policy.accuracy:
            rows.append(("accuracy of accepted", *_share(referral.policy.accuracy)))
    if (detection := figures.ood_detection) is not None:
        value, detail = _share(detection.false_positive_rate)
        rows.append(("false alarms", value, f"{detail}; {100 * detection.target:g} % is the target"))
        if detection.detected:
            value, detail = _share(detection.detected)
            rows.append((f"detected of {detection.ood_data}", value, f"{detail}; AUROC {detection.auroc:.4f}"))
    width = max(len(name) for name, _, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value:>8}  {detail}" for name, value, detail in rows)


def _share(share: Share) -> tuple[str, str]:
    return portion(share), f"{share.count} of {share.total}, {reach(share)}"


def _recipe(release: Release) -> dict[str, object] | None:
    path = release.folder / recipe.FILE_NAME
    return recipe.load(str(path)).model_dump(mode="json") if path.exists() else None


def _ood_data(argument: str | None) -> tuple[str, Split] | None:
    if argument is None:
        return None
    other, data_warnings = data.load(argument)
    for sentence in capped(data_warnings):
        print(sentence)
    return other.name, other.test


def _ood_scores(classifier: Classifier, ood_data: tuple[str, Split] | None) -> metrics.OodData | None:
    if ood_data is None:
        return None
    name, split = ood_data
    scores = ood_scores(classifier, split)
    if scores is None:
        card = classifier.card
        raise ValueError(
            f"{card.name} {card.version} has no `uncertainty` in its card, so it has no OOD score: leave --ood-data out"
        )
    return metrics.OodData(name, scores)


if __name__ == "__main__":
    cli.run("evaluate")
