"""How many connections HAProxy can hold with the open files that this process may have (`ulimit -n`)."""

from __future__ import annotations

import resource

# HAProxy refuses to start without two files for each connection, and some for its own sockets, pipes and threads.
FILES_PER_CONNECTION = 2
OWN_FILES = 128
MIN_CONNECTIONS = 16


def max_connections(wanted: int) -> int:
    """Return how many of the wanted connections are possible, and raise the soft limit of open files as needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_PER_CONNECTION * wanted + OWN_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        needed = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return max(MIN_CONNECTIONS, min(wanted, (needed - OWN_FILES) // FILES_PER_CONNECTION))


def fewer(possible: int, wanted: int) -> str | None:
    """Return a sentence where fewer connections are possible than wanted, with what to do."""
    if possible >= wanted:
        return None
    return (
        f"at most {possible} connections, not {wanted}: the hard limit of open files (`ulimit -Hn`) is "
        f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]}; {FILES_PER_CONNECTION * wanted + OWN_FILES} are needed"
    )
