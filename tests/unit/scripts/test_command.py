from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.card import CardError
from models.release import ReleaseError
from scripts.command import command, sigterm_interrupts
from serving.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


def end_of(error: BaseException) -> str | int | None:
    """Return the exit status or message of a command that raises this."""

    @command
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize("kind", [ConfigError, ReleaseError, CardError, ValueError, FloatingPointError])
def test_an_error_that_can_be_put_right_is_one_sentence(kind: type[Exception]) -> None:
    assert end_of(kind("port 0 does not exist")) == "error: port 0 does not exist"


def test_an_error_of_the_system_names_the_file() -> None:
    assert (
        end_of(FileNotFoundError(2, "No such file or directory", "a.png")) == "error: a.png: No such file or directory"
    )
    assert end_of(OSError("odd")) == "error: odd"


def test_ctrl_c_ends_as_shells_expect() -> None:
    assert end_of(KeyboardInterrupt()) == 130


def test_sigterm_interrupts_for_as_long_as_that_is_wanted() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_interrupts():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_bug_keeps_its_traceback() -> None:
    @command
    def main() -> None:
        raise AssertionError("a bug")

    with pytest.raises(AssertionError, match="a bug"):
        main()


def test_a_command_that_succeeds_returns_nothing_special() -> None:
    received: list[int] = []
    command(received.append)(3)
    assert received == [3]


def test_a_closed_pipe_is_no_error() -> None:
    code = (
        "import sys\nfrom scripts.command import command\n"
        "@command\ndef main():\n    for number in range(200_000):\n        print(number)\nmain()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        assert writer.stdout.readline() == "0\n"
        writer.stdout.close()
        assert writer.stderr.read() == ""
    assert writer.returncode == 0
