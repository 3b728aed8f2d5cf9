"""Explanations have workers of their own: the archive of a version, registered once more under another name.

A flood of explanations then waits in a queue of its own, and predictions keep theirs. The names are known to
TorchServe alone: nobody asks for them, and no model may have one.
"""

from __future__ import annotations

from serving.errors import ConfigError

SUFFIX = "-explain"


def name(model: str) -> str:
    """What the workers that explain a model are registered as."""
    return model + SUFFIX


def is_name(registered: str) -> bool:
    """Whether a name in TorchServe is that of explain workers."""
    return registered.endswith(SUFFIX)


def names(model: str, explain_workers: int) -> list[str]:
    """The names that a version is registered under in TorchServe; that of those that predict comes first."""
    return [model, name(model)] if explain_workers else [model]


def check(model: str) -> str:
    """The name of a model, if it is no name of explain workers.

    Raises:
        ConfigError: it is.
    """
    if is_name(model):
        raise ConfigError(
            f"model {model!r} cannot be served: names that end in {SUFFIX!r} belong to the workers that explain; train "
            f"it again under another name, with MODEL="
        )
    return model
