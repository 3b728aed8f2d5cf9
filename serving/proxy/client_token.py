"""The token that clients send in production: its check, and a random one if the user sets none."""

from __future__ import annotations

import os
import re
import secrets

from serving.errors import ConfigError

VARIABLE = "TORCHLIGHT_TOKEN"
# Short enough to type and too long to guess: 16 of these characters have up to 96 bits.
MIN_LENGTH = 16
# Values that `Authorization: Bearer` can carry (RFC 6750, 2.1: b64token).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_COMMAND = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def from_environment() -> str | None:
    """Return the token of the environment, or None if the variable is unset or empty.

    Raises:
        ConfigError: clients could not send the token, or somebody could guess it.
    """
    token = os.environ.get(VARIABLE)
    return checked(token, VARIABLE) if token else None


def checked(token: str, name: str) -> str:
    """Return a token that clients can send and nobody can guess.

    Args:
        name: the variable or file that the token comes from, for the message.

    Raises:
        ConfigError: the token is too short, or has characters that RFC 6750 does not allow.
    """
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"{name} has characters that a bearer token cannot have: use letters, digits and . _ ~ + / -; make a token "
            f"with `{_COMMAND}`"
        )
    if len(token) < MIN_LENGTH:
        raise ConfigError(
            f"{name} has {len(token)} characters, and fewer than {MIN_LENGTH} can be guessed: make a token "
            f"with `{_COMMAND}`"
        )
    return token


def generate() -> str:
    """Make a token of 256 random bits."""
    return secrets.token_urlsafe(32)
