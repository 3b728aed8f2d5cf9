"""Wrapper of all commands: an error that the user can fix is one sentence and exit status 1, not a traceback."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TextIO

from scripts.dialect import translated
from serving.errors import ServingError
from torchlight_client import TorchlightError

P = ParamSpec("P")


class UsageError(ValueError):
    """Flags that are wrong or exclude each other: exit status 2."""


def command(main: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command's main function."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # Characters that the terminal's encoding lacks are escaped, and do not end the command.
                stream.reconfigure(errors="backslashreplace")
        try:
            main(*args, **kwargs)
        except UsageError as error:
            say(f"error: {error}", file=sys.stderr)
            sys.exit(2)
        except (ServingError, TorchlightError, ValueError, FloatingPointError) as error:
            sys.exit(translated(f"error: {error}"))
        except BrokenPipeError:  # `| head` closed the pipe; nothing can be printed any more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {where}{error.strerror or error}")
        except KeyboardInterrupt:
            sys.exit(130)

    return wrapped


def say(message: str, file: TextIO | None = None) -> None:
    """Print a message that names flags or commands, in the dialect of the command that runs."""
    print(translated(message), file=file, flush=True)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Turn SIGTERM into KeyboardInterrupt inside the block, so that servers of the command are stopped."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
