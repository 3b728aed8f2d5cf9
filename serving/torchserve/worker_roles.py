"""Roles of the workers of a version: each role is the same archive, registered in TorchServe under a name of its own.

So explanations wait in their own queue, and a single prediction does not wait for a batch to fill. Only TorchServe
knows these names: no request names them, and no model may have one. Everything else asks this module for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from serving.errors import ConfigError
from serving.runtime.instance import Status


class Role(Enum):
    """One task of workers; the value is the suffix of its registrations, empty for the model's own name."""

    PREDICT = ""
    EXPLAIN = "-explain"
    UNBATCHED = "-unbatched"

    @property
    def suffix(self) -> str:
        """Return the suffix of the names of registrations of this role."""
        return self.value

    def registered_name(self, model: str) -> str:
        """Return the name under which a model's workers of this role are registered."""
        return model + self.suffix


@dataclass(frozen=True, slots=True)
class RoleCounts:
    """Number of extra workers per version. With 0, the predict workers do that work.

    Attributes:
        explain: workers that explain.
        unbatched: 1 or 0 workers for single predictions; at most one single prediction is in flight at a time.
    """

    explain: int = 1
    unbatched: int = 1

    @classmethod
    def of(cls, status: Status) -> RoleCounts:
        """Return the counts that a running server has recorded in its status."""
        return cls(status.explain_workers, status.unbatched_workers)

    @property
    def roles(self) -> list[Role]:
        """Return the roles that have workers, the predict role first."""
        extra = {Role.EXPLAIN: self.explain, Role.UNBATCHED: self.unbatched}
        return [Role.PREDICT, *(role for role, workers in extra.items() if workers)]

    def registered_names(self, model: str) -> list[str]:
        """Return the names under which a version of the model is registered, that of the predict workers first."""
        return [role.registered_name(model) for role in self.roles]


# Without the proxy nothing sends requests to extra workers.
PREDICT_ONLY = RoleCounts(explain=0, unbatched=0)


def parse(registered_name: str) -> tuple[str, Role]:
    """Return the model and the role behind the name of a registration."""
    for role in (Role.EXPLAIN, Role.UNBATCHED):
        if registered_name.endswith(role.suffix):
            return registered_name.removesuffix(role.suffix), role
    return registered_name, Role.PREDICT


def explaining_role(explain_workers: int) -> Role:
    """Return the role whose workers explain: the predict workers where there are no explain workers."""
    return Role.EXPLAIN if explain_workers else Role.PREDICT


def check_model_name(model: str) -> str:
    """Return the name of a model, if it does not clash with the registration of an extra worker.

    Raises:
        ConfigError: the name ends in the suffix of a role.
    """
    role = parse(model)[1]
    if role is not Role.PREDICT:
        raise ConfigError(
            f"model {model!r} cannot be served: names that end in {role.suffix!r} belong to workers of Torchlight's "
            f"own; train it again under another name, with --model"
        )
    return model
