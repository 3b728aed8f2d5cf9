"""Retries: which requests are sent again, when, and for how long.

Inference has no side effects, so a request may be sent again where that can help. That is after a refused connection;
after a connection that broke before the response was complete; after 502 and 503; and once after a 500 of type
WorkerDied, because another request may have killed the worker. A faulty request (4xx) and one on which the model fails
(other 5xx) would fail again. A request that timed out is not sent again: the server may still be busy with it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic

from torchlight_client.errors import BrokenConnection, InvalidArgument, NoServer, ServerFailed, TorchlightError

# Full jitter (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter): a pause is random, from 0 to a bound.
# The bound doubles with each retry, up to the longest, so that clients that failed together do not return together.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
WORKER_DIED = "WorkerDied"


@dataclass(frozen=True, slots=True)
class Policy:
    """Timeouts and retries of a client.

    Attributes:
        timeout: seconds of silence after which an attempt is given up.
        retries: maximum number of retries; 0 turns them off.
        deadline: seconds for a call as a whole, with all its attempts and pauses.

    Raises:
        InvalidArgument: a value is out of range.
    """

    timeout: float = 60.0
    retries: int = 2
    deadline: float = 120.0

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("deadline", self.deadline)):
            if not 0 < value < float("inf"):
                raise InvalidArgument(f"{name} is {value}: it must be a number of seconds above 0")
        if self.retries < 0:
            raise InvalidArgument(f"retries is {self.retries}: it must be 0 or more")


class Attempts:
    """The attempts of one call, from now on; `retries` replaces the policy's number."""

    def __init__(self, policy: Policy, retries: int | None = None) -> None:
        self.policy = policy
        self._retries = policy.retries if retries is None else retries
        self._end = monotonic() + policy.deadline
        self._retried = 0
        self._worker_died = False

    def left(self) -> float:
        """Return the seconds until the deadline; 0 or less when it is over."""
        return self._end - monotonic()

    def timeout(self) -> float:
        """Return the seconds that the next attempt may wait for the next bytes of the server."""
        return max(min(self.policy.timeout, self.left()), 0.001)

    def pause_after(self, error: TorchlightError) -> float:
        """Return the seconds to wait before the next attempt.

        Raises:
            TorchlightError: `error` itself, if there is no further attempt.
        """
        if self._retried >= self._retries or not may_be_sent_again(error):
            raise error
        if isinstance(error, ServerFailed) and error.type == WORKER_DIED:
            if self._worker_died:  # the second time, this request is what kills workers
                raise error
            self._worker_died = True
        requested = after(error.retry_after) if isinstance(error, ServerFailed) else None
        bound = min(FIRST_PAUSE_SECONDS * 2.0**self._retried, LONGEST_PAUSE_SECONDS)
        pause = random.uniform(0, bound) if requested is None else requested
        if pause >= self.left():
            raise error
        self._retried += 1
        return pause


def may_be_sent_again(error: TorchlightError) -> bool:
    """Return True if the same request may succeed when it is sent again."""
    if isinstance(error, ServerFailed):
        return error.status in (502, 503) or (error.status == 500 and error.type == WORKER_DIED)
    return isinstance(error, NoServer | BrokenConnection)


def after(header: str | None) -> float | None:
    """Parse Retry-After (RFC 9110, 10.2.3), an integer or a date, into seconds from now; None if it is invalid."""
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
