"""The model card: the one place where a trained version says what it is.

A card is `card.yaml` in a release and in the .mar made from it. Everything that answering needs and that is not a
weight stands in it, so nothing has to be configured twice.
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

# The engine that is no compiled program: the network as it was trained, in float32.
EAGER = "eager"

# Both stand in file names, URLs and the proxy's map, so they are kept to what needs no quoting in any of these.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
# A number is spelled in one way, so without zeros in front.
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){0,2}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class CardError(ValueError):
    """The card is missing, is not YAML, or breaks the schema; the message names the file and each wrong key."""


class StrictModel(BaseModel):
    """A part of the card: unknown keys are errors, so a misspelt one is not ignored in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Architecture(StrictModel):
    """Which network: a module of models.architectures and the arguments of its `build`."""

    name: str
    arguments: dict[str, Any] = {}


class Input(StrictModel):
    """What the network takes: RGB, `size` x `size` pixels, (pixel / 255 - mean) / std by channel.

    Attributes:
        resize: how a picture becomes a square. `stretch` takes all of it; `crop` takes the middle of its middle square,
            `crop` of its side (torchvision's 224 of 256 is 0.875).
        range_16bit: the values of a gray image of 16 bits that become 0 and 255; what is beyond is cut off.
    """

    size: Annotated[int, Field(ge=4, le=4096)]
    resize: Literal["stretch", "crop"] = "stretch"
    crop: Annotated[float, Field(gt=0.1, le=1)] = 1.0
    range_16bit: Range16 = FULL_RANGE
    mean: tuple[float, float, float]
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]

    @property
    def pre_crop_size(self) -> int:
        """Pixels of a side before the crop, the same margin on each: what training takes its random crops from."""
        return self.size if self.resize == "stretch" else self.size + 2 * round((self.size / self.crop - self.size) / 2)


class Limits(StrictModel):
    """The most that one request may bring; what is larger gets a 413 of its own, and nobody else is held up by it.

    Attributes:
        max_bytes: of one image as it is sent.
        max_pixels: of one image, read from its header before anything is decoded.
        max_side: pixels of its longer side; an image of one row takes several times as long as a square one.
        max_images: in one request.
        max_request_pixels: of all images of a request together.
        max_json_lists: lists and objects in a JSON body; pixels as nested lists need one for each row and each pixel.
        max_answer_bytes: of the answer. TorchServe kills the worker whose answer exceeds max_response_size, and is slow
            with large ones.
    """

    max_bytes: Annotated[int, Field(ge=1)] = 6_000_000
    max_pixels: Annotated[int, Field(ge=1)] = 25_000_000
    max_side: Annotated[int, Field(ge=1)] = 16_384
    max_images: Annotated[int, Field(ge=1)] = 64
    max_request_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    max_json_lists: Annotated[int, Field(ge=1)] = 500_000
    max_answer_bytes: Annotated[int, Field(ge=1_000, le=24_000_000)] = 16_000_000


class Data(StrictModel):
    """What the network was trained and measured on. `sha256` is over all images and labels, in order."""

    name: str
    source: str
    sha256: Sha256
    train: int
    calibration: int
    test: int


class Conformal(StrictModel):
    """Which classes an answer's set holds, so that the right one is among them as often as `coverage` says.

    The most probable class always is in the set, and the k-th (k > 1) is if the probability of those before it
    together, plus `penalty` for each rank beyond `free`, is at most `threshold`. `aps` has no penalty (Romano et al.
    2020, arXiv:2006.02544), `raps` has (Angelopoulos et al. 2021, arXiv:2009.14193).
    """

    method: Literal["aps", "raps"]
    coverage: Annotated[float, Field(gt=0, lt=1)]
    threshold: Annotated[FiniteFloat, Field(ge=0)]
    penalty: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    free: Annotated[int, Field(ge=0)] = 0


class OutOfDistribution(StrictModel):
    """When an image is unlike what the network was trained on: its score, higher is stranger, is above `threshold`.

    `energy` is -logsumexp of the logits (Liu et al. 2020, arXiv:2010.03759); `mahalanobis` the squared distance of the
    embedding from the nearest class mean (Lee et al. 2018, arXiv:1807.03888), which needs `uncertainty.safetensors`.

    Attributes:
        false_positive_rate: the share of images of the calibration split that are above the threshold.
    """

    score: Literal["energy", "mahalanobis"]
    threshold: FiniteFloat
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)]


class Policy(StrictModel):
    """When an answer is `refer`, for a person to look at, rather than `accept`.

    Attributes:
        out_of_distribution: refer what is unlike the training images.
        max_set_size: refer what has a larger set; null: none is too large.
        min_probability: refer what is less probable.
    """

    out_of_distribution: bool = True
    max_set_size: Annotated[int, Field(ge=1)] | None = 1
    min_probability: Share = 0.0


class UncertaintyCard(StrictModel):
    """What makes the answers honest; fitted on the calibration split.

    Attributes:
        temperature: the logits are divided by it before softmax (Guo et al. 2017, arXiv:1706.04599).
    """

    temperature: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    conformal: Conformal
    ood: OutOfDistribution
    policy: Policy = Policy()


class Explanations(StrictModel):
    """How answers are explained where a request does not say.

    Attributes:
        method: the attribution method, by its name in handlers.explain.registry.METHODS.
        layer: the module that class activation maps are taken from, by its dotted name; null: the one behind the last
            convolution.
        faithfulness: of each method that was measured on the test split (`make explain-report`), its gap: insertion AUC
            minus deletion AUC. A request with a deadline gets the first of these that it leaves time for.
    """

    method: str = "ig"
    layer: str | None = None
    faithfulness: dict[str, FiniteFloat] = {}


class EngineQuality(StrictModel):
    """What a compiled program keeps of the float32 network, both on the calibration split.

    Attributes:
        images: how many there were.
        accuracy: of the program, top-1.
        accuracy_float32: of the network, top-1.
        agreement: how often both name the same class first.
        calibration_error: of the program's probabilities (ECE, 15 bins), with the card's temperature.
        calibration_error_float32: of the network's.
        coverage: how often the program's set holds the right class.
        coverage_float32: how often the network's does.
        milliseconds: an image of a batch of eight, one thread, on the machine that compiled it.
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
    """A program that was compiled from the network, where it runs, and what it keeps.

    Attributes:
        name: device and number format.
        torch: the version that compiled it; no other runs it.
        requires: processor features, as handlers.engines.machine names them.
        compiled_on: the processor that it was compiled and measured on.
        float32_layers: of the network, that an int8 program computes in float32 to be let in.
        quality: what was measured; None where it did not come to that.
        rejection: why it is kept out, in one sentence; None: it may answer.
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
        """Its file in a release and in a .mar."""
        return f"engines/{self.name}.pt2"


class Metrics(StrictModel):
    """Measured on the test split, through the image code that serves."""

    accuracy: Share
    loss: float
    test_images: int
    train_cpu_seconds: float


class Card(StrictModel):
    """A trained version of a model.

    Attributes:
        engines: compiled programs, in the order in which they are tried; the eager network comes after them.
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
    """Pydantic's findings in one line: where, what is wrong, and the value found."""
    findings = []
    for item in error.errors():
        # What a rule of ours says of several keys together names them and their values.
        together = item["type"] == "value_error" and isinstance(item["input"], dict)
        where = ".".join(str(step) for step in item["loc"]) or ("" if together else "the whole")
        value = f" (it is {item['input']!r:.80})"
        if together or item["type"] in ("missing", "extra_forbidden"):
            value = ""
        findings.append(f"{where}: {item['msg']}{value}".removeprefix(": ").replace("Value error, ", ""))
    return "; ".join(findings)
