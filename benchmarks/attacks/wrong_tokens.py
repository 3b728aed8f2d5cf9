"""Try wrong tokens, each over a new connection."""

from __future__ import annotations

import socket
import time
from collections import Counter

from benchmarks.attacks.finding import Finding

ATTEMPTS = 5_000
SOURCE = "127.0.0.3"


def try_tokens(port: int) -> Finding:
    """Count the responses to wrong tokens from one address."""
    statuses, start = Counter[str](), time.monotonic()
    for number in range(ATTEMPTS):
        with socket.create_connection(("127.0.0.1", port), 30, source_address=(SOURCE, 0)) as connection:
            token = f"Authorization: Bearer wrong-{number}\r\n"
            connection.sendall(f"POST /predictions/digits HTTP/1.1\r\nHost: x\r\n{token}\r\n".encode())
            statuses[connection.recv(12).decode("ascii", "replace")[9:]] += 1
    seconds = time.monotonic() - start
    responses = ", ".join(f"{count:,} x {status}" for status, count in sorted(statuses.items()))
    measured = f"{ATTEMPTS:,} wrong tokens from one address in {seconds:.1f} s: {responses}"
    return Finding("token guessing", measured, set(statuses) == {"401", "429"})


def send_odd_credentials(port: int, token: str) -> Finding:
    """Send malformed credentials that contain the right token."""
    malformed = (
        f"Bearer x, Bearer {token}",
        f"Bearer {token}, Bearer x",
        f"Bearer {token} x",
        f"Basic {token}",
        f"Bearer\t{token}",
        token,
        f"Bearer {token}\r\nAuthorization: Bearer {token}",
        f"Bearer x\r\nAuthorization: Bearer {token}",
    )
    accepted = 0
    for credentials in malformed:
        request = f"POST /predictions/digits HTTP/1.1\r\nHost: x\r\nAuthorization: {credentials}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 30, source_address=("127.0.0.4", 0)) as connection:
            connection.sendall(request.encode())
            accepted += connection.recv(12)[9:] not in (b"401", b"429", b"400")
    return Finding("malformed bearer credentials", f"{len(malformed)} forms: {accepted} were accepted", accepted == 0)
