"""The plan of a rollout: a YAML file that a user may write, with a safe default for every key."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from models import documents
from models.card import describe
from models.documents import DocumentError
from models.unknown_key import unknown_key
from serving.errors import ConfigError
from serving.proxy.traffic_split import Sticky


def _share(value: Any) -> Any:
    """Return a share as a number: `5%` is 0.05."""
    if not isinstance(value, str):
        return value
    number = _number(value.strip().removesuffix("%"))
    if number is None:
        raise ValueError("write a number from 0 to 1, or a percentage such as 5%")
    return number / 100 if value.strip().endswith("%") else number


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _seconds(value: Any) -> Any:
    """Return a duration in seconds: `90s`, `5m` or `2h`, or a number."""
    if not isinstance(value, str):
        return value
    unit = _UNITS.get(value.strip()[-1:])
    number = _number(value.strip()[:-1] if unit else value)
    if number is None:
        raise ValueError("write a number of seconds, or a duration such as 90s, 5m or 2h")
    return number * (unit or 1.0)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_share)]
PositiveShare = Annotated[float, Field(gt=0, le=1), BeforeValidator(_share)]
# Without requests to both versions there is nothing to compare.
CanaryShare = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_share)]
Seconds = Annotated[float, Field(ge=0, le=30 * 24 * 3600), BeforeValidator(_seconds)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OnInconclusive(StrEnum):
    """The end of a phase that has no verdict in time."""

    PAUSE = "pause"
    ROLL_BACK = "roll_back"


class WarmUp(_StrictModel):
    """Preparation of the candidate, before clients see it.

    Attributes:
        requests: predictions that are sent to the candidate first; their latencies count nowhere.
        max_latency_ratio: limit of the candidate's latency on the golden images, as a multiple of the stable version's.
    """

    requests: Annotated[int, Field(ge=0, le=10_000)] = 50
    max_latency_ratio: Annotated[float, Field(gt=1)] = 1.5


class Shadow(_StrictModel):
    """Comparison of both versions on copies of real requests. Clients get the stable version's answer.

    Attributes:
        share: share of the predictions that are copied.
        pairs: pairs of answers to compare at least. 0 leaves the phase out.
        self_pairs: pairs of two answers of the stable version, which must all be equal; they are compared first.
        explained: pairs whose attribution maps are compared. 0 compares none.
        timeout: time limit of the phase. Without a verdict by then, `on_inconclusive` applies.
        max_differences: limit of the share of images with another label or status.
        min_reason_correlation: limit of the median rank correlation of the regions that both versions' attribution maps
            point at.
        keep_images: number of images with the largest differences that the report shows. By default none is stored.
    """

    share: PositiveShare = 0.2
    pairs: Annotated[int, Field(ge=0, le=100_000)] = 300
    self_pairs: Annotated[int, Field(ge=0, le=10_000)] = 30
    explained: Annotated[int, Field(ge=0, le=1_000)] = 30
    timeout: Seconds = 3600.0
    max_differences: PositiveShare = 0.03
    min_reason_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.7
    keep_images: Annotated[int, Field(ge=0, le=20)] = 0


class Canary(_StrictModel):
    """The candidate answers a growing share of the requests that name no version.

    Attributes:
        shares: shares of the candidate, one for each step.
        hold: minimum duration of each step.
        min_requests: requests that the candidate must answer in each step.
        timeout: time limit of a step, and of the verdict that the last one waits for.
        sticky: how a client stays with one version.
        alpha: probability that a candidate as good as the stable version is rolled back, over all canary checks.
        margin: the candidate is not inferior if its rate of bad responses is at most this multiple of the stable
            version's, or at most `tolerated`.
        tolerated: rate of errors that counts as none.
    """

    shares: Annotated[tuple[CanaryShare, ...], Field(max_length=20)] = (0.01, 0.05, 0.25, 0.5)
    hold: Seconds = 60.0
    min_requests: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    timeout: Seconds = 3600.0
    sticky: Sticky = Sticky.NONE
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    margin: Annotated[float, Field(gt=1)] = 1.5
    tolerated: Share = 0.005

    @model_validator(mode="after")
    def shares_grow(self) -> Canary:
        """Check that each share is larger than the one before."""
        if any(later <= earlier for earlier, later in zip(self.shares, self.shares[1:], strict=False)):
            raise ValueError(f"shares is {list(self.shares)}: each must be larger than the one before")
        return self


class Plan(_StrictModel):
    """The plan of a rollout.

    Attributes:
        workers: predict workers of the candidate; null: as many as the stable version has.
        warm_up: preparation of the candidate, before clients see it.
        shadow: comparison of both versions on copies of real requests.
        canary: growth of the candidate's share.
        bake: time after the promotion in which an alarm brings the old version back at once.
        retire_previous: unregister the old version at the end. By default `rollback` can still go back to it.
        on_inconclusive: what happens if a phase has no verdict in time.
    """

    workers: Annotated[int, Field(ge=1, le=256)] | None = None
    warm_up: WarmUp = WarmUp()
    shadow: Shadow = Shadow()
    canary: Canary = Canary()
    bake: Seconds = 300.0
    retire_previous: bool = False
    on_inconclusive: OnInconclusive = OnInconclusive.PAUSE


def read(path: Path) -> Plan:
    """Return the plan in a file.

    Raises:
        ConfigError: the file is missing, is no YAML, or a key or value is wrong.
    """
    try:
        document = documents.read_yaml(path)
        return Plan.model_validate({} if document is None else document)
    except FileNotFoundError:
        raise ConfigError(f"there is no plan {path}: leave --plan out for the default plan") from None
    except ValidationError as error:
        raise ConfigError(f"{path}: {unknown_key(error, Plan) or describe(error)}") from None
    except DocumentError as error:
        raise ConfigError(str(error)) from None
