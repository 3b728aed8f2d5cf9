"""Any path becomes text that every encoder, terminal and font takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.printable import printable


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"cat/1.png", "cat/1.png"),
        ("größe/猫 👩‍🔬.png".encode(), "größe/猫 👩‍🔬.png"),
        (b"caf\xe9.png", r"caf\xe9.png"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"a\nb\tc\r", r"a\nb\tc\r"),
        (b"\x1b[31mred\x7f", r"\x1b[31mred\x7f"),
        ("gpj.\u202eexe".encode(), r"gpj.\u202eexe"),
        ("a\u2028b".encode(), r"a\u2028b"),
        ("\x85".encode(), r"\x85"),
        ("قطة/כלב.png".encode(), "قطة/כלב.png"),
    ],
)
def test_path_becomes_valid_text_in_one_line(name: bytes, text: str) -> None:
    assert printable(os.fsdecode(name)) == text
    assert printable(Path(os.fsdecode(name))) == text
    assert printable(text) == text, "what is printable stays as it is"
    assert text.encode()


def test_other_half_of_a_surrogate_pair_is_escaped() -> None:
    assert printable("a\ud800b") == r"a\ud800b"
