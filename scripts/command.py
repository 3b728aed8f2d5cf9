"""What all commands share: an error the user can put right is one sentence and exit status 1, not a traceback."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

from serving.errors import ServingError

P = ParamSpec("P")


def command(main: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command's main function."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A name that the terminal's encoding lacks is printed with escapes, and never ends the command.
                stream.reconfigure(errors="backslashreplace")
        try:
            main(*args, **kwargs)
        except (ServingError, ValueError, FloatingPointError) as error:
            sys.exit(f"error: {error}")
        except BrokenPipeError:  # `| head` closed the pipe; there is nobody left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {where}{error.strerror or error}")
        except KeyboardInterrupt:
            sys.exit(130)

    return wrapped


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Within it SIGTERM is what Ctrl-C is, KeyboardInterrupt: servers that were started are stopped on the way out."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
