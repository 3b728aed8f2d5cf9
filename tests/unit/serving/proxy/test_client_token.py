from __future__ import annotations

import pytest

from serving.errors import ConfigError
from serving.proxy import client_token

GOOD = "abcDEF0123456789"


@pytest.mark.parametrize("token", [GOOD, "a" * 16, "A.b_c~d+e/f-0123=="])
def test_token_that_a_bearer_header_can_carry_is_accepted(token: str) -> None:
    assert client_token.checked(token, "TORCHLIGHT_TOKEN") == token


@pytest.mark.parametrize(
    "token", ["a" * 16 + "é", "two words of a token", "comma,comma,comma", '"quoted-quoted-quoted"', "=" * 20]
)
def test_token_with_other_characters_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(ConfigError, match="TORCHLIGHT_TOKEN has characters that a bearer token cannot have") as raised:
        client_token.checked(token, "TORCHLIGHT_TOKEN")
    assert token not in str(raised.value)


def test_token_that_is_made_can_be_used() -> None:
    assert client_token.checked(client_token.generate(), "token") != client_token.generate()


def test_short_token_is_refused_with_its_length() -> None:
    with pytest.raises(ConfigError, match="has 15 characters, and fewer than 16 can be guessed"):
        client_token.checked(GOOD[:15], "TORCHLIGHT_TOKEN")


def test_variable_that_is_empty_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHLIGHT_TOKEN", "")
    assert client_token.from_environment() is None
    monkeypatch.setenv("TORCHLIGHT_TOKEN", GOOD)
    assert client_token.from_environment() == GOOD
    monkeypatch.setenv("TORCHLIGHT_TOKEN", "x")
    with pytest.raises(ConfigError):
        client_token.from_environment()
