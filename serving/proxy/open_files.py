"""Number of connections that HAProxy can hold with this process's limit of open files (`ulimit -n`)."""

from __future__ import annotations

import resource

# HAProxy needs two files for each connection and some for its own sockets, pipes and threads, or it does not start.
FILES_PER_CONNECTION = 2
OWN_FILES = 128
MIN_CONNECTIONS = 16


def max_connections(configured: int) -> int:
    """Raise the soft limit of open files as needed, and return how many of the configured connections are possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = FILES_PER_CONNECTION * configured + OWN_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        needed = hard
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return max(MIN_CONNECTIONS, min(configured, (needed - OWN_FILES) // FILES_PER_CONNECTION))


def fewer(possible: int, configured: int) -> str | None:
    """Return a sentence for the log if fewer connections are possible than configured, otherwise None."""
    if possible >= configured:
        return None
    return (
        f"at most {possible} connections, not {configured}: the hard limit of open files (`ulimit -Hn`) is "
        f"{resource.getrlimit(resource.RLIMIT_NOFILE)[1]}; {FILES_PER_CONNECTION * configured + OWN_FILES} are needed"
    )
