"""What is sent again, when, and for how long.

Inference has no side effects, so a request may be sent again wherever that can help: the connection was refused, or
broke before the whole answer had come; 502 and 503; and once a 500 that says that the worker died, for a request beside
it may have killed it. An answer that says that the request is at fault (4xx) or that the model fails on it (other 5xx)
would come again. Silence is not answered with more of the same: a server that does not answer in time may be busy with
this very request.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic

from serving.errors import BrokenConnection, ClientError, ConfigError, NoServer, ServerFailed

# Full jitter (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter): a pause is anything from 0 to this,
# doubled with each retry up to the longest, so that clients that failed together do not come back together.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
CONNECT_SECONDS = 5.0
WORKER_DIED = "WorkerDied"


@dataclass(frozen=True, slots=True)
class Policy:
    """How patient a client is.

    Attributes:
        timeout: seconds that a server may be silent before an attempt is given up.
        retries: how often a request is sent again at most; 0 turns it off.
        deadline: seconds for a call as a whole, with all its attempts and pauses.

    Raises:
        ConfigError: a value that cannot be.
    """

    timeout: float = 60.0
    retries: int = 2
    deadline: float = 120.0

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if not 0 < value < float("inf"):
                raise ConfigError(f"{name} is {value}: it must be a number of seconds above 0")
        if self.retries < 0:
            raise ConfigError(f"retries is {self.retries}: it must be 0 or more")


class Attempts:
    """The attempts of one call, from now on; `retries`, where it is given, instead of the policy's."""

    def __init__(self, policy: Policy, retries: int | None = None) -> None:
        self.policy = policy
        self._retries = policy.retries if retries is None else retries
        self._end = monotonic() + policy.deadline
        self._retried = 0
        self._worker_died = False

    def left(self) -> float:
        """Seconds until the deadline; 0 or less when it is over."""
        return self._end - monotonic()

    def timeout(self) -> float:
        """Seconds that the next attempt may wait for the server's next word."""
        return max(min(self.policy.timeout, self.left()), 0.001)

    def pause_after(self, error: ClientError) -> float:
        """Seconds to wait before the next attempt.

        Raises:
            ClientError: `error` itself, where there shall be no further attempt.
        """
        if self._retried >= self._retries or not may_be_sent_again(error):
            raise error
        if isinstance(error, ServerFailed) and error.type == WORKER_DIED:
            if self._worker_died:  # at the second time it is this request that kills workers
                raise error
            self._worker_died = True
        asked = after(error.retry_after) if isinstance(error, ServerFailed) else None
        bound = min(FIRST_PAUSE_SECONDS * 2.0**self._retried, LONGEST_PAUSE_SECONDS)
        pause = random.uniform(0, bound) if asked is None else asked
        if pause >= self.left():
            raise error
        self._retried += 1
        return pause


def may_be_sent_again(error: ClientError) -> bool:
    """Whether the same request may be answered if it is sent once more."""
    if isinstance(error, ServerFailed):
        return error.status in (502, 503) or (error.status == 500 and error.type == WORKER_DIED)
    return isinstance(error, NoServer | BrokenConnection)


def after(header: str | None) -> float | None:
    """Retry-After (RFC 9110, 10.2.3), whole seconds or a date -> seconds from now, 0 or more; None if it is neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    # A date in the obsolete form without a zone is in UTC (RFC 9110, 5.6.7).
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((aware - datetime.now(UTC)).total_seconds(), 0.0)
