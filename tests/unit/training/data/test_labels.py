"""Labels that cannot be trained on are errors before an image is read; missing ones are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data import DataError, labels
from training.data.listed import Listed


def usable(*names: str) -> tuple[list[str], list[str], list[str]]:
    entries = [Listed(f"{number}.png", name) for number, name in enumerate(names)]
    present, left_out, findings = labels.usable(Path("list.csv"), Path(), entries)
    return [entry.label for entry in present], [f"{item.path}: {item.reason}" for item in left_out], findings


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            "cat;dog",
            r"the label 'cat;dog' of 0.png names several classes, cat and dog: several .* not supported",
        ),
        ("cat|dog", "names several classes, cat and dog"),
        ("cat, dog", "names several classes, cat and dog"),
        ('["cat", "dog"]', r"the label '\[\"cat\", \"dog\"\]' of 0.png is a list"),
        ("['cat']", "is a list"),
        ("{'cat': 1}", "is a list"),
        ("('cat', 'dog')", "is a list"),
    ],
)
def test_label_of_several_classes_is_an_error(label: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        usable(label, *["cat", "dog"] * 9)


@pytest.mark.parametrize("label", ["tench, Tinca tinca", "cat, big", "(other)", "a;", "1,5", "cat+dog", "a-b"])
def test_label_with_punctuation_is_one_class(label: str) -> None:
    names = [label, *["cat", "dog"] * 9]
    assert usable(*names) == (names, [], [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            [f"{n / 7:.3f}" for n in range(40)],
            r"the labels are 40 different numbers \(0.000, 0.143, 0.286 and 37",
        ),
        ([f"{n},5" for n in range(40)], "regression"),
        ([str(n) for n in range(20, 60)], "regression"),
        ([f"1e-{n}" for n in range(12)], "regression"),
        ([f"2024-01-{n:02d}" for n in range(1, 30)], "29 different dates"),
        ([f"{n}.3.2024 10:00" for n in range(1, 30)], "29 different dates"),
        ([f"patient {n}" for n in range(30)], "nearly every image has a label of its own, 30 labels for 30 images"),
    ],
)
def test_values_instead_of_classes_are_an_error(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        usable(*names)


def test_classes_that_are_numbers_are_trained() -> None:
    grades = [str(n) for n in range(30)] * 5
    assert usable(*grades) == (grades, [], [])
    few = ["0.5", "1.0", "1.5"] * 2
    assert usable(*few) == (few, [], [])


def test_many_fractions_as_classes_are_said() -> None:
    _, _, findings = usable(*[f"{n / 2}" for n in range(12)] * 5)
    assert len(findings) == 1
    assert "regression) is not supported" in findings[0]


def test_missing_labels_are_left_out_and_doubtful_ones_are_said() -> None:
    present, left_out, findings = usable("nan", "NaN", "<NA>", "#N/A", "NaT", "None", "cat", "naan")
    assert present == ["None", "cat", "naan"]
    assert left_out[1] == "1.png: its label 'NaN' is a missing value"
    assert len(left_out) == 5
    assert findings == [
        "1 images have the label 'None', which may stand for a missing value: it is trained as a class. If it is none, "
        "leave these images out"
    ]


def test_files_with_several_labels_are_an_error_and_a_single_one_is_not() -> None:
    entries = [Listed(f"{n}.png", label) for n in range(20) for label in ("cat", "dog")]
    with pytest.raises(DataError, match=r"20 images are listed with several labels, such as 0.png \(cat, dog\)"):
        labels.usable(Path("list.csv"), Path(), entries)
    labels.usable(Path("list.csv"), Path(), [*entries[::2], entries[1]])
