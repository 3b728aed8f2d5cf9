"""The model card: the description of a trained version.

A card is `card.yaml` in a release and in its .mar. It holds everything that predictions need except tensors, so nothing
is configured twice.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from models import class_names, documents
from models.documents import DocumentError
from models.window import FULL_RANGE, Window

FILE_NAME = "card.yaml"

# The engine that is not compiled: the network as trained, in float32.
EAGER = "eager"

# Both occur in file names, URLs and the proxy's map, so they allow only characters that need no quoting there.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
# No leading zeros, so that each number has one spelling.
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,2}$"

# Step of the location of an error that names a type of several, as pydantic writes it; not a key.
_TYPE_STEP = re.compile(r"^(literal|tuple|list|dict|function-\w+)\[|^constrained-\w+$|^(float|int|str|bool)$")

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
        window: values of a 16-bit gray image that become 0 and 255; values beyond are clipped. `percentiles`: measure
            them in each image.
        mean: mean of red, green and blue in the training images, as shares of 255.
        std: standard deviation of red, green and blue, as shares of 255.
    """

    size: Annotated[int, Field(ge=4, le=4096)]
    resize: Literal["stretch", "crop"] = "stretch"
    crop: Annotated[float, Field(gt=0.1, le=1)] = 1.0
    window: Window = FULL_RANGE
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


class Calibration(StrictModel):
    """Evidence that the temperature helps, from the calibration split. NLL is the mean negative log-likelihood in nats.

    Attributes:
        images: number of calibration images.
        mistakes: how many of these the network predicts wrongly.
        nll_raw: NLL without a temperature.
        nll_cross_fitted: NLL of each fifth of the images, with the temperature that was fitted on the others.
        gain_error: standard error of the difference of both.
        verdict: `unproven` with fewer than 10 mistakes, or if the difference is below its standard error.
    """

    images: Annotated[int, Field(ge=1)]
    mistakes: Annotated[int, Field(ge=0)]
    nll_raw: FiniteFloat
    nll_cross_fitted: FiniteFloat
    gain_error: Annotated[FiniteFloat, Field(ge=0)]
    verdict: Literal["proven", "unproven"]


class Conformal(StrictModel):
    """Conformal prediction sets, which contain the correct class with probability `coverage`.

    Each class has a score, and is in the set if its score is at most its threshold. The most probable class has score 0
    and is always in the set. Scores of the others: `lac`: 1 - probability (Sadinle et al. 2019, arXiv:1609.00451);
    `aps`: summed probability of the classes before it (Romano et al. 2020, arXiv:2006.02544); `raps`: the same plus
    `penalty` for each rank beyond `free` (Angelopoulos et al. 2021, arXiv:2009.14193).

    Attributes:
        method: `lac`, `aps` or `raps`.
        coverage: share of images whose prediction set must contain the correct class.
        coverage_low: lower end of the 95 % interval of the coverage. It is known no better, because the calibration
            images are a sample: Beta distribution (Vovk 2012, arXiv:1209.2673).
        coverage_high: upper end of this interval.
        thresholds: highest score of a class in the set: one for all classes, or one for each (class-conditional).
        penalty: added for each rank beyond `free`; for `raps`.
        free: number of ranks without a penalty; for `raps`.
    """

    method: Literal["lac", "aps", "raps"]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    coverage_low: Share = 0.0
    coverage_high: Share = 1.0
    thresholds: Annotated[tuple[Annotated[FiniteFloat, Field(ge=0)], ...], Field(min_length=1)]
    penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    free: Annotated[int, Field(ge=0)] = 0


class Scale(StrictModel):
    """Scale of a score: the calibration images' median becomes 0, and `upper`, the 95 % quantile, becomes 1.

    Attributes:
        median: median of the calibration images.
        upper: 95 % quantile of the calibration images.
        logarithmic: take the logarithm of the score first; for distances, which may differ by powers of ten.
    """

    median: FiniteFloat
    upper: FiniteFloat
    logarithmic: bool = True

    @model_validator(mode="after")
    def rises(self) -> Scale:
        """Check that the scale can be applied."""
        if self.upper <= self.median or (self.logarithmic and self.median <= 0):
            what = " and above 0, because the scale is logarithmic" if self.logarithmic else ""
            raise ValueError(f"upper is {self.upper:g}: it must be above median, which is {self.median:g}{what}")
        return self


class OutOfDistribution(StrictModel):
    """Out-of-distribution (OOD) detection: an image is OOD if its score is above `threshold`.

    The score is the larger of two, each on its scale: the distance of the network's embedding from the training images,
    and the distance of the input's pixel statistics (colors, brightness, sharpness) from theirs. The distance of an
    embedding is `mahalanobis`, the squared distance from the nearest class mean (Lee et al. 2018, arXiv:1807.03888);
    `mahalanobis_asinh`, the same of asinh(embedding); `relative_mahalanobis`, without the distance from the mean of all
    (Ren et al. 2021, arXiv:2106.09022); or `energy`, -logsumexp of the logits (Liu et al. 2020, arXiv:2010.03759).

    Attributes:
        score: distance of the embedding.
        scale: scale of this distance.
        pixel_scale: scale of the distance of the pixel statistics; null: they are not used.
        threshold: highest score of an image that is in distribution.
        false_positive_rate: share of the calibration images above the threshold.
        choice: share of the battery's changed and foreign images that each distance detects; empty if the recipe names
            the distance.
    """

    score: Literal["energy", "mahalanobis", "mahalanobis_asinh", "relative_mahalanobis"]
    scale: Scale
    pixel_scale: Scale | None = None
    threshold: FiniteFloat
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)]
    choice: dict[str, Share] = {}


class Policy(StrictModel):
    """Rules for the decision: `refer` asks for a person's review, `accept` does not.

    Attributes:
        out_of_distribution: refer OOD images.
        max_set_size: refer larger prediction sets; null: accept any size.
        min_probability: refer less probable predictions.
    """

    out_of_distribution: bool = True
    max_set_size: Annotated[int, Field(ge=1)] | None = None
    min_probability: Share = 0.0


class UncertaintyCard(StrictModel):
    """Uncertainty parameters, fitted on the calibration split.

    Attributes:
        temperature: divisor of the logits before softmax (Guo et al. 2017, arXiv:1706.04599).
        calibration: evidence that the temperature helps; null: not measured.
        conformal: prediction sets; null: the model gives none.
        no_sets_reason: why the model gives no prediction sets, in one sentence.
        ood: out-of-distribution detection.
        refer: share of referred images that the policy was tuned for; null: the recipe sets the policy.
        policy: rules for the decision.
    """

    temperature: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    calibration: Calibration | None = None
    conformal: Conformal | None
    no_sets_reason: str | None = None
    ood: OutOfDistribution
    refer: Share | None = None
    policy: Policy = Policy()

    @model_validator(mode="after")
    def sets_have_a_rule(self) -> UncertaintyCard:
        """Check that the policy does not refer by sets that do not exist."""
        if self.conformal is None and self.policy.max_set_size is not None:
            size = self.policy.max_set_size
            raise ValueError(f"policy.max_set_size is {size}, but the model gives no prediction sets: set it to null")
        return self


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

    schema_version: Literal[2] = 2
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
        if isinstance(content, dict) and content.get("schema_version") == 1:
            raise CardError(
                f"{path}: schema_version is 1: an older Torchlight trained this model, and its uncertainty means "
                "something else today: train it again"
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise CardError(f"{path}: {describe(error)}") from None

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `card.yaml` into `folder`."""
        text = yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
        (Path(folder) / FILE_NAME).write_text(text, encoding="utf-8")


def describe(error: ValidationError) -> str:
    """Return pydantic's errors in one line: each with its key, the problem and the value.

    A key that takes values of several types, such as a number or `auto`, has an error for each; here it has one.
    """
    problems: dict[tuple[str, str], list[str]] = {}
    for item in error.errors():
        # Messages of validators that check several keys already name the keys and their values.
        is_model_rule = item["type"] == "value_error" and isinstance(item["input"], dict)
        steps = [str(step) for step in item["loc"] if not _TYPE_STEP.search(str(step))]
        where = ".".join(steps) or ("" if is_model_rule else "the whole")
        value = f" (it is {item['input']!r:.80})"
        if is_model_rule or item["type"] in ("missing", "extra_forbidden"):
            value = ""
        problems.setdefault((where, value), []).append(item["msg"].replace("Value error, ", ""))
    messages = []
    for (where, value), (first, *further) in problems.items():
        alternatives = [other.removeprefix("Input should be ") for other in further]
        messages.append(f"{where}: {', or '.join([first, *alternatives])}{value}".removeprefix(": "))
    return "; ".join(messages)
