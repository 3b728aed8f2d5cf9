"""`model-config.yaml` of a .mar: how TorchServe runs the model, checked before it is written.

TorchServe silently ignores an unknown key; here it is an error. The keys are TorchServe's own
(org.pytorch.serve.archive.model.ModelConfig), with the defaults below.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from models import documents
from models.card import Limits, Policy, describe
from models.documents import DocumentError
from models.unknown_key import unknown_key
from serving.artifacts import mar
from serving.errors import ArchiveError, ConfigError

FILE_NAME = "model-config.yaml"
# Key in a .mar for the settings of the predict workers only.
PREDICT = "predict"
PREDICTING = ("minWorkers", "maxWorkers", "batchSize", "maxBatchDelay")


class HandlerConfig(BaseModel):
    """Settings for the handler. Keys of `limits` and `policy` that are set replace those of the card.

    Attributes:
        limits: limits of one request. Keys that are set replace those of the card.
        policy: rules for the decision. Keys that are set replace those of the card.
        engine: `auto` is the fastest engine of the card that gives the golden answers on the machine; `eager` is the
            float32 network. A name is that engine only: a worker that cannot use it does not start.
        threads: OpenMP threads per worker; null divides the cores among the workers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: Limits = Limits()
    policy: Policy = Policy()
    engine: str = "auto"
    threads: Annotated[int, Field(ge=1, le=256)] | None = None


class ModelConfig(BaseModel):
    """Settings with which TorchServe runs one version of a model.

    Attributes:
        minWorkers: predict workers at the start. Each is a process with a copy of the model.
        maxWorkers: maximum for the management API. TorchServe does not scale by itself.
        batchSize: maximum number of requests in a batch.
        maxBatchDelay: milliseconds that a request waits for its batch to fill. Without an unbatched worker, a single
            request waits all of it. 1 still fills batches under load; TorchServe reads 0 as its default, 100.
        responseTimeout: seconds after which TorchServe kills a worker that has not answered a batch.
        startupTimeout: seconds that a worker may take to load the model.
        maxRetryTimeoutInSec: seconds during which a worker that fails at once is restarted.
        jobQueueSize: maximum number of waiting requests. The next one gets a 503 at once.
        deviceType: device of the workers; null is the GPU, if there is one.
        handler: settings for the handler.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    minWorkers: Annotated[int, Field(ge=1, le=256)] = 1
    maxWorkers: Annotated[int, Field(ge=1, le=256)] = 1
    batchSize: Annotated[int, Field(ge=1, le=1024)] = 32
    maxBatchDelay: Annotated[int, Field(ge=1, le=60_000)] = 1
    responseTimeout: Annotated[int, Field(ge=1, le=86_400)] = 60
    startupTimeout: Annotated[int, Field(ge=1, le=86_400)] = 120
    maxRetryTimeoutInSec: Annotated[int, Field(ge=0, le=86_400)] = 300
    jobQueueSize: Annotated[int, Field(ge=1, le=100_000)] = 200
    deviceType: Literal["cpu", "gpu"] | None = None
    handler: HandlerConfig | None = None

    @model_validator(mode="after")
    def workers_are_a_range(self) -> ModelConfig:
        if self.minWorkers > self.maxWorkers:
            raise ValueError(
                f"minWorkers is {self.minWorkers}, and must not exceed maxWorkers, which is {self.maxWorkers}"
            )
        return self

    def to_yaml(self) -> str:
        """Return the text of the file: every key of TorchServe, and the handler settings that were set."""
        return yaml.safe_dump(self._document(), sort_keys=False)

    def archived(self) -> str:
        """Return the text for a .mar: the PREDICTING keys are below `predict`.

        At the top level, TorchServe would prefer them to those of a registration, and each version has several
        registrations (serving/torchserve/registrations.py).
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
    """Return the settings of a YAML file with some of the keys.

    Raises:
        ConfigError: the file is missing or not YAML, has an unknown key, or a value out of range.
    """
    try:
        content = documents.read_yaml(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a YAML file of model settings") from None
    except DocumentError as error:
        raise ConfigError(str(error)) from None
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{path}: must hold `key: value` lines, such as `batchSize: 8`")
    try:
        return ModelConfig.model_validate(content or {})
    except ValidationError as error:
        raise ConfigError(f"{path}: {unknown_key(error, ModelConfig) or describe(error)}") from None


def of_release(folder: Path) -> ModelConfig:
    """Return the settings that `make tune` has written into a release, or the defaults.

    Raises:
        ConfigError: see `load`.
    """
    return load(folder / FILE_NAME) if (folder / FILE_NAME).exists() else ModelConfig()


def of_archive(path: Path) -> ModelConfig:
    """Return the settings in a .mar.

    Raises:
        ConfigError: it has none, or they are invalid.
    """
    try:
        with mar.opened(path) as file:
            content = documents.parse_yaml(mar.read(file, FILE_NAME), FILE_NAME)
        return ModelConfig.model_validate({**content.pop(PREDICT, {}), **content})
    except (AttributeError, TypeError, ArchiveError, DocumentError) as error:
        raise ConfigError(f"{path}: {FILE_NAME} cannot be read ({error}); archive the release again") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {FILE_NAME}: {describe(error)}; archive the release again") from None
