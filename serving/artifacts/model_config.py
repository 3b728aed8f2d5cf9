"""`model-config.yaml` of a .mar: how TorchServe runs the model, checked before it is written.

TorchServe ignores a key that it does not know, in silence; here it is an error. The keys are TorchServe's own
(org.pytorch.serve.archive.model.ModelConfig), and what is left out gets the default below.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import documents
from models.card import Limits, Policy, describe
from models.documents import DocumentError
from serving.artifacts import mar
from serving.errors import ArchiveError, ConfigError

FILE_NAME = "model-config.yaml"
# In a .mar, what holds for the workers that predict alone.
PREDICT = "predict"
PREDICTING = ("minWorkers", "maxWorkers", "batchSize", "maxBatchDelay")


class HandlerConfig(BaseModel):
    """What TorchServe hands on to the handler. `limits` and `policy` replace the card's, each that is named.

    Attributes:
        engine: `auto` takes the fastest of the card's that is right on the machine; `eager` the float32 network; a name
            that one alone, and a worker that cannot have it does not start.
        threads: OpenMP threads of each worker; None shares the cores out among the workers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: Limits = Limits()
    policy: Policy = Policy()
    engine: str = "auto"
    threads: Annotated[int, Field(ge=1, le=256)] | None = None


class ModelConfig(BaseModel):
    """How TorchServe runs one version of one model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minWorkers: Annotated[int, Field(ge=1, le=256)] = 1
    """Worker processes at the start; each has a copy of the model."""
    maxWorkers: Annotated[int, Field(ge=1, le=256)] = 1
    """The most the management API may scale to. TorchServe does not scale by itself."""
    batchSize: Annotated[int, Field(ge=1, le=1024)] = 32
    """The most requests in one batch."""
    maxBatchDelay: Annotated[int, Field(ge=1, le=60_000)] = 1
    """Milliseconds that a request waits for others. Without an unbatched worker, a single request waits all of it. 1
    still fills batches under load; 0 would be taken for TorchServe's default, which is 100."""
    responseTimeout: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Seconds after which a batch without an answer costs the worker its life."""
    startupTimeout: Annotated[int, Field(ge=1, le=86_400)] = 120
    """Seconds a worker may take to load the model."""
    maxRetryTimeoutInSec: Annotated[int, Field(ge=0, le=86_400)] = 300
    """Seconds for which a worker that dies at once is started again."""
    jobQueueSize: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Requests that may wait; a further one is answered 503 at once."""
    deviceType: Literal["cpu", "gpu"] | None = None
    """Where to run. Left out: on GPUs where there are any."""
    handler: HandlerConfig | None = None
    """Settings of our own, such as `handler: {limits: {max_pixels: 50000000}, policy: {max_set_size: 2}}`; see Limits
    and Policy in models/card.py."""

    @model_validator(mode="after")
    def workers_are_a_range(self) -> ModelConfig:
        if self.minWorkers > self.maxWorkers:
            raise ValueError(f"minWorkers is {self.minWorkers}, above maxWorkers, which is {self.maxWorkers}")
        return self

    def to_yaml(self) -> str:
        """The file's text: every key of TorchServe's, so that what runs can be read there, and of ours what was set."""
        return yaml.safe_dump(self._document(), sort_keys=False)

    def archived(self) -> str:
        """The text as it stands in a .mar: PREDICT's keys apart, under that word.

        TorchServe would hold them before those of a registration, and each version has several (`workers.of`).
        """
        document = self._document()
        predict = {key: document.pop(key) for key in PREDICTING}
        return yaml.safe_dump({PREDICT: predict, **document}, sort_keys=False)

    def _document(self) -> dict[str, Any]:
        document = self.model_dump(exclude_none=True, exclude={"handler"})
        if self.handler is not None:
            document["handler"] = self.handler.model_dump(exclude_unset=True)
        return document


def load(path: Path) -> ModelConfig:
    """Read and check a YAML file with some of the keys.

    Raises:
        ConfigError: no such file, not YAML, an unknown key or a value out of range.
    """
    try:
        content = documents.read_yaml(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file of model settings") from None
    except DocumentError as error:
        raise ConfigError(str(error)) from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines, such as `batchSize: 8`")
    for key in content or {}:
        if key not in ModelConfig.model_fields:
            near = difflib.get_close_matches(str(key), ModelConfig.model_fields, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigError(f"{path}: unknown key {key!r}; {hint}There are {', '.join(ModelConfig.model_fields)}")
    try:
        return ModelConfig.model_validate(content or {})
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from None


def of_release(folder: Path) -> ModelConfig:
    """The settings that lie in a release, where `make tune` has found some; the defaults elsewhere.

    Raises:
        ConfigError: as of `load`.
    """
    return load(folder / FILE_NAME) if (folder / FILE_NAME).exists() else ModelConfig()


def of_archive(path: Path) -> ModelConfig:
    """The settings that a .mar carries.

    Raises:
        ConfigError: it carries none, or they are not as this module writes them.
    """
    try:
        with mar.opened(path) as file:
            content = documents.parse_yaml(mar.read(file, FILE_NAME), FILE_NAME)
        return ModelConfig.model_validate({**content.pop(PREDICT, {}), **content})
    except (AttributeError, TypeError, ArchiveError, DocumentError) as error:
        raise ConfigError(f"{path}: {FILE_NAME} cannot be read ({error}); archive the release again") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {FILE_NAME}: {describe(error)}; archive the release again") from None
