"""HTTP requests to servers on this machine, past any proxy that the environment names."""

from __future__ import annotations

from collections.abc import Mapping

import requests


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    timeout: float,
    params: Mapping[str, str] | None = None,
) -> requests.Response:
    """Send one request. HTTP_PROXY and ~/.netrc are ignored: they would send the token elsewhere, or replace it.

    Args:
        timeout: seconds for the connection, and for each read.

    Raises:
        requests.RequestException: there was no response.
    """
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, params=params, headers=headers, timeout=timeout)
