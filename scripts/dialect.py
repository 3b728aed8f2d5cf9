"""Messages in the words of the user: flags and `torchlight` commands, or variables and targets of make.

All messages are written with flags, such as "train one with `torchlight train --model cells`" or "leave --proxy=0 out".
The Makefile sets TORCHLIGHT_DIALECT=make for the commands that it runs. They then print "train one with
`make train MODEL=cells`" and "leave PROXY=0 out". Logs are always written with flags.
"""

from __future__ import annotations

import os
import re

ENVIRONMENT_VARIABLE = "TORCHLIGHT_DIALECT"

# Command of torchlight -> target of the Makefile.
TARGETS = {
    **{name: name for name in ("train", "evaluate", "explain-report", "shortcut-demo", "optimize", "tune", "compare")},
    **{name: name for name in ("archive", "serve", "stop", "predict", "explain")},
    **{f"versions {name}": name for name in ("models", "register", "promote", "retire", "rollback", "history")},
    "rollout start": "rollout",
    **{f"docker {name}": f"docker-{name}" for name in ("build", "serve", "logs", "stop")},
    **{f"maintenance {name}": name for name in ("java-cache", "samples", "wheelhouse", "openapi", "reference")},
}

# Flag with a value -> variable of the Makefile.
VARIABLES = {
    "--architecture": "ARCH",
    "--base-image": "BASE_IMAGE",
    "--config": "CONFIG",
    "--contrast": "CONTRAST",
    "--cors-origins": "CORS_ORIGINS",
    "--data": "DATA",
    "--engines": "ENGINES",
    "--epochs": "EPOCHS",
    "--explain-workers": "EXPLAIN_WORKERS",
    "--gpus": "GPUS",
    "--host": "HOST",
    "--image-size": "SIZE",
    "--images": "IMAGES",
    "--keep-alive": "KEEP_ALIVE",
    "--memory": "MEMORY",
    "--method": "METHOD",
    "--mode": "MODE",
    "--model": "MODEL",
    "--ood-data": "OOD_DATA",
    "--out": "OUT",
    "--p99-ms": "P99_MS",
    "--plan": "PLAN",
    "--port": "PORT",
    "--proxy": "PROXY",
    "--recipe": "RECIPE",
    "--split": "SPLIT",
    "--tag": "TAG",
    "--target": "TARGET",
    "--torch": "TORCH",
    "--unbatched-worker": "UNBATCHED_WORKER",
    "--version": "VERSION",
    "--weights": "WEIGHTS",
    "--workers": "WORKERS",
}

# Flag without a value -> variable of the Makefile and its value.
SWITCHES = {
    "--dry-run": "DRY_RUN=1",
    "--foreground": "FOREGROUND=1",
    "--gpu": "GPU=1",
    "--restart": "RESTART=1",
    "--resume": "RESUME=1",
    "--without-neighbors": "NEIGHBORS=0",
}


def _any_of(words: dict[str, str]) -> str:
    return f"(?:{'|'.join(map(re.escape, words))})(?![\\w-])"


_VALUE = r"(?:'[^'\n]*'|[^\s`'-][^\s`]*)"
_FLAG = re.compile(rf"(?P<switch>{_any_of(SWITCHES)})|(?P<flag>{_any_of(VARIABLES)})(?:[= ](?P<value>{_VALUE}))?")
_MESSAGE = re.compile(
    # A command whose flags all have variables, up to its end; any other command, which stays; a flag by itself.
    rf"torchlight (?P<command>{_any_of(TARGETS)})"
    rf"(?P<flags>(?: (?:{_FLAG.pattern.replace('?P<', '?P<c_')}))*)(?=[`\n]|$)"
    r"|torchlight [a-z][^`\n]*"
    rf"|(?<![\w-])(?:(?P<switch>{_any_of(SWITCHES)})|(?P<flag>{_any_of(VARIABLES)})=?)"
)


def translated(text: str) -> str:
    """Return a message in the dialect of the command that runs."""
    return in_make(text) if os.environ.get(ENVIRONMENT_VARIABLE) == "make" else text


def in_make(text: str) -> str:
    """Return a message with targets and variables of make instead of commands and flags."""
    return _MESSAGE.sub(_translated_match, text)


def _translated_match(match: re.Match[str]) -> str:
    if match["command"]:
        flags = _FLAG.finditer(match["flags"])
        return " ".join(["make", TARGETS[match["command"]], *map(_assignment, flags)])
    if match["switch"]:
        return SWITCHES[match["switch"]]
    return f"{VARIABLES[match['flag']]}=" if match["flag"] else match[0]


def _assignment(match: re.Match[str]) -> str:
    if match["switch"]:
        return SWITCHES[match["switch"]]
    return f"{VARIABLES[match['flag']]}={match['value'] or ''}"
