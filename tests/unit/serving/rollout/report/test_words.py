from __future__ import annotations

import pytest

from serving.rollout.report import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-3, "0 s"),
        (45.4, "45 s"),
        (200, "3 min 20 s"),
        (120, "2 min"),
        (7500, "2 h 5 min"),
        (100000, "1 d 3 h"),
    ],
)
def test_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert words.duration(seconds).replace(words.SPACE, " ") == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.00001, "< 0.01 %"),
        (0.0012, "0.12 %"),
        (0.043, "4.3 %"),
        (0.25, "25 %"),
        (1, "100 %"),
        (None, "–"),
    ],
)
def test_percent_has_the_digits_that_matter(share: float | None, text: str) -> None:
    assert words.percent(share).replace(words.SPACE, " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0042, "4.2 ms"), (0.085, "85 ms"), (1.34, "1.3 s"), (250, "250 s"), (None, "–")],
)
def test_latency_has_a_unit_that_fits(seconds: float | None, text: str) -> None:
    assert words.latency(seconds).replace(words.SPACE, " ") == text


def test_rate_of_nothing_is_a_dash() -> None:
    assert words.rate(0, 0) == "–"
    assert words.rate(12, 3000).replace(words.SPACE, " ") == "12 (0.40 %)"


def test_negative_zero_has_no_sign() -> None:
    assert (words.signed(-0.001), words.signed(-0.25)) == ("0.00", "\N{MINUS SIGN}0.25")


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_enumeration_is_a_list_in_a_sentence(names: list[str], text: str) -> None:
    assert words.enumeration(names) == text


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-30T10:00:00", None, 5])
def test_time_without_zone_is_no_time(text: object) -> None:
    assert words.parse_time(text) is None
