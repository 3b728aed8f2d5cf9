"""The words of IMAGE= and MORE=: separated by spaces, kept together by quotes, and never run."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import cli
from scripts.maintenance import shell_words


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("samples/3.png samples/7.png", ["samples/3.png", "samples/7.png"]),
        ("'my photos/a.png'  \"b c.png\"", ["my photos/a.png", "b c.png"]),
        (r"my\ photos/a.png b.png", ["my photos/a.png", "b.png"]),
        ("$(id) `id` ;id R&D #1 *.png -x", ["$(id)", "`id`", ";id", "R&D", "#1", "*.png", "-x"]),
        ("--set a.b=1 --seed 3", ["--set", "a.b=1", "--seed", "3"]),
        ("größe.png\nb.png", ["größe.png", "b.png"]),
    ],
)
def test_words_are_separated_by_spaces_and_kept_together_by_quotes(value: str, expected: list[str]) -> None:
    assert shell_words.split("IMAGE", value) == expected


@pytest.mark.parametrize("name", ["my photo.png", "it's.png", r"a\b.png"])
def test_a_value_that_names_a_file_is_one_word(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert shell_words.split("IMAGE", name) == [name]


def test_an_open_quote_is_refused_with_the_name_of_the_variable() -> None:
    with pytest.raises(ValueError, match=r"^IMAGE is \"it's.png\", with a quote that is not closed: put names"):
        shell_words.split("IMAGE", "it's.png")


def test_the_words_come_last_also_where_they_begin_with_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: list[str] = []
    monkeypatch.setattr(cli, "main", arguments.extend)
    monkeypatch.setenv("IMAGE", "-a.png b.png")
    shell_words.main(["IMAGE", "predict", "--port=8081", "--model=x y", "--"])
    assert arguments == ["predict", "--port=8081", "--model=x y", "--", "-a.png", "b.png"]
