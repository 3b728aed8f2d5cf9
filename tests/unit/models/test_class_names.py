"""Class names that people cannot tell apart, or that cannot be written, are refused wherever they come from."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from models.card import Card, CardError
from models.class_names import ClassNameError, check

NFC, NFD = unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")
LOOK_ALIKES = {
    "composed and decomposed accents": (NFC, NFD),
    "order of accents": ("a\u0323\u0307", "a\u0307\u0323"),
    "case": ("cat", "Cat"),
    "case of a letter that becomes two": ("straße", "STRASSE"),
    "dotted capital I": ("İ", "i̇"),
    "zero-width space": ("cat", "ca\u200bt"),
    "zero-width joiner": ("cat", "ca\u200dt"),
    "byte order mark": ("cat", "\ufeffcat"),
    "soft hyphen": ("cat", "c\u00adat"),
    "word joiner": ("cat", "cat\u2060"),
    "variation selector": ("cat", "cat\ufe0f"),
    "combining grapheme joiner": ("cat", "ca\u034ft"),
    "tag character": ("cat", "cat\U000e0041"),
    "full width": ("cat", "ｃａｔ"),
    "full-width digit": ("1", "１"),
    "ligature": ("fin", "ﬁn"),
    "no-break space": ("red cell", "red\u00a0cell"),
    "ideographic space": ("red cell", "red\u3000cell"),
    "two spaces": ("red cell", "red  cell"),
    "Hangul filler": ("red cell", "red\u3164cell"),
    "empty Braille cell": ("red cell", "red\u2800cell"),
    "Cyrillic letter": ("cat", "сat"),
    "Greek capital": ("BAT", "ΒΑΤ"),
}


@pytest.mark.parametrize("names", LOOK_ALIKES.values(), ids=LOOK_ALIKES)
def test_look_alikes_are_refused_with_both_spellings_shown(names: tuple[str, str]) -> None:
    with pytest.raises(ClassNameError, match=r"look alike: give both one name, or rename one$") as refused:
        check(names)
    for name in names:
        assert ascii(name) in str(refused.value), "escapes show what cannot be seen"


def test_trailing_space_is_refused_and_shown_beside_its_look_alike() -> None:
    with pytest.raises(ClassNameError) as refused:
        check(["cat", "cat "])
    assert str(refused.value) == (
        "class 'cat ' begins or ends with a space: rename it to 'cat'; "
        "classes 'cat' and 'cat ' look alike: give both one name, or rename one"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("caf\udce9", r"class 'caf\udce9' is not valid UTF-8: rename it"),
        ("a\nb", r"class 'a\nb' has the control character '\n': rename it"),
        ("a\x00b", r"class 'a\x00b' has the control character '\x00': rename it"),
        ("a\x1b[31m", r"class 'a\x1b[31m' has the control character '\x1b': rename it"),
        ("a\u2028b", r"class 'a\u2028b' has the control character '\u2028': rename it"),
        ("gpj.\u202eexe", r"class 'gpj.\u202eexe' has the control character '\u202e': rename it"),
        ("", "class '' is empty or invisible: give it a name that can be seen"),
        ("\u200b", r"class '\u200b' is empty or invisible: give it a name that can be seen"),
        ("\u2800", r"class '\u2800' is empty or invisible: give it a name that can be seen"),
        (" cat", "class ' cat' begins or ends with a space: rename it to 'cat'"),
        ("x" * 256, f"class '{'x' * 59}... has 256 characters: at most 255 are allowed"),
    ],
)
def test_name_that_cannot_be_written_is_refused(name: str, words: str) -> None:
    with pytest.raises(ClassNameError) as refused:
        check([name, "dog"])
    assert str(refused.value) == words


@pytest.mark.parametrize(
    "names",
    [
        ("1", "01", "001", "10"),
        ("-rf", "$x_$", "<script>", "a, b", "~", "#c"),
        ("日本", "قطة", "כלב", "👩\u200d🔬", "می\u200cخواهم"),
        ("O", "0", "l", "1", "I"),
        ("в", "b"),
        ("cat", "cats", "cat_"),
        ("cat", "cat"),
    ],
)
def test_names_that_differ_visibly_are_accepted(names: tuple[str, ...]) -> None:
    check(names)


def test_message_names_five_problems_and_counts_the_others() -> None:
    names = [f"class {letter}" for letter in "abcdefg"]
    with pytest.raises(ClassNameError, match=r"; and 2 more like these$"):
        check([*names, *map(str.upper, names)])


def test_card_with_look_alike_classes_cannot_be_served(card: Card, tmp_path: Path) -> None:
    card.model_copy(update={"classes": (NFC, NFD)}).save(tmp_path)
    with pytest.raises(CardError, match=r"classes: classes .*'cafe\\u0301'.*'caf\\xe9'.* look alike"):
        Card.load(tmp_path)
