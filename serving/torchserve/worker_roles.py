"""What the workers of a version are for: each role is the same archive, registered under a name of its own.

A flood of explanations then waits in a queue of its own, and a prediction that comes alone for no batch to fill. The
names are known to TorchServe alone: nobody asks for them, and no model may have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from serving.errors import ConfigError


class Role(Enum):
    """The value is what names of the role end in; that of those that predict is the model's own."""

    PREDICT = ""
    EXPLAIN = "-explain"
    UNBATCHED = "-unbatched"

    def of(self, model: str) -> str:
        """What a model's workers of this role are registered as."""
        return model + self.value


@dataclass(frozen=True, slots=True)
class RoleCounts:
    """How many workers each version has beside those that predict, which do themselves what there is nobody for.

    Attributes:
        explain: those that explain.
        unbatched: 1 or 0: there is one single prediction at a time at most.
    """

    explain: int = 1
    unbatched: int = 1

    @property
    def roles(self) -> list[Role]:
        """Those that a version has workers for; that of those that predict comes first."""
        beside = {Role.EXPLAIN: self.explain, Role.UNBATCHED: self.unbatched}
        return [Role.PREDICT, *(role for role, workers in beside.items() if workers)]

    def names(self, model: str) -> list[str]:
        """What a version is registered as in TorchServe."""
        return [role.of(model) for role in self.roles]


def is_models_own(name: str) -> bool:
    """Whether a name in TorchServe is that of a model, and not of workers beside those that predict."""
    return not name.endswith((Role.EXPLAIN.value, Role.UNBATCHED.value))


def check(model: str) -> str:
    """The name of a model, if it can be one.

    Raises:
        ConfigError: workers beside those that predict have such names.
    """
    if not is_models_own(model):
        suffix = Role.UNBATCHED.value if model.endswith(Role.UNBATCHED.value) else Role.EXPLAIN.value
        raise ConfigError(
            f"model {model!r} cannot be served: names that end in {suffix!r} belong to workers of Torchlight's own; "
            f"train it again under another name, with MODEL="
        )
    return model
