"""The model card: the description of a trained version.

A card is `card.yaml` in a release and in its .mar. It holds everything that predictions need except tensors, so nothing
is configured twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, ValidationError, field_validator

from models import class_names, documents
from models.documents import DocumentError
from models.value_range import FULL_RANGE, Range16

FILE_NAME = "card.yaml"

# The engine that is not compiled: the network as trained, in float32.
EAGER = "eager"

# Both occur in file names, URLs and the proxy's map, so they allow only characters that need no quoting there.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
# No leading zeros, so that each number has one spelling.
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,2}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class CardError(ValueError):
    """The card is missing, is not YAML, or breaks the schema; the message names the file and each wrong key."""


class StrictModel(BaseModel):
    """A frozen model that rejects unknown keys, so that misspelled keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Architecture(StrictModel):
    """Architecture of the network.

    Attributes:
        name: module of `models/architectures/`.
        arguments: arguments of its `build` function.
    """

    name: str
    arguments: dict[str, Any] = {}


class Input(StrictModel):
    """Input of the network: RGB, `size` x `size` pixels, (pixel / 255 - mean) / std by channel.

    Attributes:
        size: side of the network's input in pixels.
        resize: makes the image square. `stretch` uses all of it; `crop` uses the center of its center square.
        crop: share of that square's side for `resize: crop` (torchvision's 224 of 256 is 0.875).
        range_16bit: values of a 16-bit gray image that become 0 and 255; values beyond are clipped.
        mean: mean of red, green and blue in the training images, as shares of 255.
        std: standard deviation of red, green and blue, as shares of 255.
    """

    size: Annotated[int, Field(ge=4, le=4096)]
    resize: Literal["stretch", "crop"] = "stretch"
    crop: Annotated[float, Field(gt=0.1, le=1)] = 1.0
    range_16bit: Range16 = FULL_RANGE
    mean: tuple[float, float, float]
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

    @property
    def pre_crop_size(self) -> int:
        """Side of the resized image before the crop, in pixels; training takes its random crops from it."""
        return self.size if self.resize == "stretch" else self.size + 2 * round((self.size / self.crop - self.size) / 2)


class Limits(StrictModel):
    """Limits of one request. A larger request gets status 413; other requests of the batch are not affected.

    Attributes:
        max_bytes: encoded size of one image.
        max_pixels: pixels of one image, read from its header before decoding.
        max_side: pixels of its longer side; an image of one row takes several times as long as a square one.
        max_images: images in one request.
        max_request_pixels: pixels of all images of a request together.
        max_json_lists: lists and objects in a JSON body; nested pixels need one per row and pixel.
        max_answer_bytes: size of the response. TorchServe kills a worker whose response exceeds max_response_size,
            and is slow with large responses.
    """

    max_bytes: Annotated[int, Field(ge=1)] = 6_000_000
    max_pixels: Annotated[int, Field(ge=1)] = 25_000_000
    max_side: Annotated[int, Field(ge=1)] = 16_384
    max_images: Annotated[int, Field(ge=1)] = 64
    max_request_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    max_json_lists: Annotated[int, Field(ge=1)] = 500_000
    max_answer_bytes: Annotated[int, Field(ge=1_000, le=24_000_000)] = 16_000_000


class Data(StrictModel):
    """Data set of the training and of the metrics.

    Attributes:
        name: name of the data set.
        source: origin of the data set.
        sha256: digest of all images and labels, in order.
        train: number of training images.
        calibration: number of calibration images.
        test: number of test images.
    """

    name: str
    source: str
    sha256: Sha256
    train: int
    calibration: int
    test: int


class Conformal(StrictModel):
    """Conformal prediction sets, which contain the correct class with probability `coverage`.

    The most probable class is always in the set. The k-th class (k > 1) is in the set if the summed probability of the
    classes before it, plus `penalty` for each rank beyond `free`, is at most `threshold`. `aps` has no penalty (Romano
    et al. 2020, arXiv:2006.02544); `raps` has one (Angelopoulos et al. 2021, arXiv:2009.14193).

    Attributes:
        method: `aps`, or `raps`, which keeps sets small.
        coverage: share of images whose prediction set must contain the correct class.
        threshold: maximum of the summed probability and penalty for a class in the set.
        penalty: added for each rank beyond `free`.
        free: number of ranks without a penalty.
    """

    method: Literal["aps", "raps"]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[FiniteFloat, Field(ge=0)]
    penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    free: Annotated[int, Field(ge=0)] = 0


class OutOfDistribution(StrictModel):
    """Out-of-distribution (OOD) detection: an image is OOD if its score is above `threshold`.

    `energy` is -logsumexp of the logits (Liu et al. 2020, arXiv:2010.03759); `mahalanobis` the squared distance of the
    embedding from the nearest class mean (Lee et al. 2018, arXiv:1807.03888), which needs `uncertainty.safetensors`.

    Attributes:
        score: score that is compared with the threshold.
        threshold: highest score of an image that is in distribution.
        false_positive_rate: share of the calibration images above the threshold.
    """

    score: Literal["energy", "mahalanobis"]
    threshold: FiniteFloat
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)]


class Policy(StrictModel):
    """Rules for the decision: `refer` asks for a person's review, `accept` does not.

    Attributes:
        out_of_distribution: refer OOD images.
        max_set_size: refer larger prediction sets; null: accept any size.
        min_probability: refer less probable predictions.
    """

    out_of_distribution: bool = True
    max_set_size: Annotated[int, Field(ge=1)] | None = 1
    min_probability: Share = 0.0


class UncertaintyCard(StrictModel):
    """Uncertainty parameters, fitted on the calibration split.

    Attributes:
        temperature: divisor of the logits before softmax (Guo et al. 2017, arXiv:1706.04599).
        conformal: prediction sets.
        ood: out-of-distribution detection.
        policy: rules for the decision.
    """

    temperature: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    conformal: Conformal
    ood: OutOfDistribution
    policy: Policy = Policy()


class Explanations(StrictModel):
    """Defaults for explanations.

    Attributes:
        method: name of the default attribution method.
        layer: dotted name of the module for class activation maps; null: the module after the last convolution.
        faithfulness: gap of each method on the test split (`make explain-report`): insertion AUC minus deletion AUC. A
            request with a deadline gets the first method that fits it.
    """

    method: str = "ig"
    layer: str | None = None
    faithfulness: dict[str, FiniteFloat] = {}


class EngineQuality(StrictModel):
    """Quality of a compiled engine, compared with the float32 network on the calibration split.

    Attributes:
        images: number of images.
        accuracy: top-1 accuracy of the engine.
        accuracy_float32: top-1 accuracy of the network.
        agreement: share of images with the same top-1 class.
        calibration_error: ECE of the engine (15 bins), with the card's temperature.
        calibration_error_float32: ECE of the network.
        coverage: share of the engine's prediction sets with the correct class.
        coverage_float32: the same share of the network.
        milliseconds: per image in a batch of eight, one thread, on the machine that compiled the engine.
        milliseconds_float32: the same of the eager network.
    """

    images: int
    accuracy: Share
    accuracy_float32: Share
    agreement: Share
    calibration_error: Share
    calibration_error_float32: Share
    coverage: Share | None = None
    coverage_float32: Share | None = None
    milliseconds: Annotated[FiniteFloat, Field(gt=0)]
    milliseconds_float32: Annotated[FiniteFloat, Field(gt=0)]


class Compiled(StrictModel):
    """A compiled engine of the network: where it runs, and its quality.

    Attributes:
        name: device and number format.
        torch: version that compiled it; no other version can run it.
        requires: processor features, as handlers.engines.machine names them.
        compiled_on: processor that compiled and measured it.
        float32_layers: layers that an int8 engine computes in float32 to pass the gate.
        quality: measured quality; null if it was not measured.
        rejection: reason why the gate rejected it, in one sentence; null: it serves predictions.
    """

    name: Annotated[str, StringConstraints(pattern=r"^(cpu|cuda)-(int8|bf16|fp16|fp32)$")]
    torch: str
    requires: tuple[str, ...]
    compiled_on: str
    float32_layers: tuple[str, ...] = ()
    quality: EngineQuality | None = None
    rejection: str | None = None

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self.name.partition("-")[0]

    @property
    def path(self) -> str:
        """Path of the compiled file in a release and in a .mar."""
        return f"engines/{self.name}.pt2"


class Metrics(StrictModel):
    """Metrics of the test split, with the preprocessing that serves.

    Attributes:
        accuracy: share of correct predictions.
        loss: mean cross entropy.
        test_images: number of test images.
        train_cpu_seconds: CPU time of the training in seconds.
    """

    accuracy: Share
    loss: float
    test_images: int
    train_cpu_seconds: float


class Card(StrictModel):
    """A trained version of a model.

    Attributes:
        schema_version: version of this schema.
        name: name of the model.
        version: version of the model: one to three numbers.
        description: text for readers.
        license: license of the data set.
        created: time of the release, in UTC.
        git_revision: revision of the code that trained it.
        architecture: network.
        classes: labels, in the order of the logits.
        input: input of the network.
        limits: limits of one request. `handler: limits:` in model-config.yaml replaces them.
        uncertainty: uncertainty parameters; null: the model answers with plain softmax only.
        explanations: defaults for explanations.
        engines: compiled engines in order of preference. The eager network is the last resort.
        data: data set of the training and of the metrics.
        metrics: metrics of the test split.
        digests: SHA-256 of each file with tensors or compiled code, by its path in the release.
    """

    schema_version: Literal[1] = 1
    name: Name
    version: Version
    description: str = ""
    license: str = ""
    created: str
    git_revision: str
    architecture: Architecture
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    input: Input
    limits: Limits = Limits()
    uncertainty: UncertaintyCard | None = None
    explanations: Explanations = Explanations()
    engines: tuple[Compiled, ...] = ()
    data: Data
    metrics: Metrics
    digests: Annotated[dict[str, Sha256], Field(min_length=1)]

    @field_validator("classes")
    @classmethod
    def classes_are_distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) != len(classes):
            raise ValueError("classes must differ from each other")
        class_names.check(classes)
        return classes

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Card:
        """Read `card.yaml` of a release folder or an unpacked .mar.

        Raises:
            CardError: naming the file, each wrong key, its value and what would be right.
        """
        path = Path(folder) / FILE_NAME
        try:
            content = documents.read_yaml(path)
        except FileNotFoundError:
            raise CardError(f"{path}: no such file; a release folder has one") from None
        except DocumentError as error:
            raise CardError(str(error)) from None
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise CardError(f"{path}: {describe(error)}") from None

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `card.yaml` into `folder`."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        (Path(folder) / FILE_NAME).write_text(text, encoding="utf-8")


def describe(error: ValidationError) -> str:
    """Return pydantic's errors in one line: each with its key, the problem and the value."""
    messages = []
    for item in error.errors():
        # Messages of validators that check several keys already name the keys and their values.
        is_model_rule = item["type"] == "value_error" and isinstance(item["input"], dict)
        where = ".".join(str(step) for step in item["loc"]) or ("" if is_model_rule else "the whole")
        value = f" (it is {item['input']!r:.80})"
        if is_model_rule or item["type"] in ("missing", "extra_forbidden"):
            value = ""
        messages.append(f"{where}: {item['msg']}{value}".removeprefix(": ").replace("Value error, ", ""))
    return "; ".join(messages)
