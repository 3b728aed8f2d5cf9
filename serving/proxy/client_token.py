"""The token that clients send in production: which values it may have, and the one that is made where none is given."""

from __future__ import annotations

import os
import re
import secrets

from serving.errors import ConfigError

VARIABLE = "TORCHLIGHT_TOKEN"
# Short enough to type, long enough that nobody finds it by trying: 16 of these characters have up to 96 bits.
MIN_LENGTH = 16
# What `Authorization: Bearer` can carry (RFC 6750, 2.1: b64token).
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
_MAKE_ONE = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


def from_environment() -> str | None:
    """Return the token of the environment, or None where the variable is unset or empty.

    Raises:
        ConfigError: clients could not send it, or could guess it.
    """
    token = os.environ.get(VARIABLE)
    return checked(token, VARIABLE) if token else None


def checked(token: str, name: str) -> str:
    """Return a token that clients can send and nobody guesses; `name` says where it comes from.

    Raises:
        ConfigError: it is too short, or has other characters than RFC 6750 allows. The message does not quote it.
    """
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            f"{name} has characters that no bearer token can have: use letters, digits and . _ ~ + / - alone; make one "
            f"with `{_MAKE_ONE}`"
        )
    if len(token) < MIN_LENGTH:
        raise ConfigError(
            f"{name} has {len(token)} characters, and fewer than {MIN_LENGTH} can be guessed: make one "
            f"with `{_MAKE_ONE}`"
        )
    return token


def generate() -> str:
    """Make a token of 256 random bits."""
    return secrets.token_urlsafe(32)
