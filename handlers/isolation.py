"""Isolation of errors: a request that fails in a batch fails alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from handlers.engines import is_out_of_memory
from handlers.errors import InferenceFailed, OutOfMemory, RequestError

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


def bisect_failures(
    items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Outcome]]
) -> list[Outcome | RequestError]:
    """Do `work` for all items at once. If it raises, do it for each half, until the failing item is alone.

    One bad item among n costs about 2 log2(n) further calls.

    Returns:
        One outcome for each item, in order. An item on which `work` fails gets the error to answer.
    """
    if not items:
        return []
    try:
        return list(work(items))
    except Exception as error:  # no error of the network, captum or the device may reach other requests
        if len(items) > 1:
            half = len(items) // 2
            return bisect_failures(items[:half], work) + bisect_failures(items[half:], work)
        return [as_request_error(error)]


def as_request_error(error: Exception) -> RequestError:
    """Return the error to send for an exception. A fault of the server is logged with its traceback."""
    # A stored error would keep its frames, and with them the decoded image, until the garbage is collected.
    if isinstance(error, RequestError):
        error.__context__ = error.__cause__ = None
        return error.with_traceback(None)
    if is_out_of_memory(error):
        logger.error("out of memory on one request alone")
        return OutOfMemory("there was not enough memory for this request: try again, or with smaller images")
    logger.error("a request failed", exc_info=error)
    return InferenceFailed(f"the model failed on this request: {type(error).__name__}")
