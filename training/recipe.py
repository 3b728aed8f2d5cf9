"""A recipe: all settings of a training, as YAML that is checked before the training starts.

The recipes of the project are in training/recipes/, each with its purpose. A release contains its recipe
(`recipe.yaml`), so the training can be repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from models import architectures, documents
from models.card import Architecture, Share, StrictModel, describe
from models.documents import DocumentError
from models.unknown_key import unknown_key
from models.window import FULL_RANGE, Window
from training.uncertainty import UncertaintySettings

FOLDER = Path(__file__).parent / "recipes"
FILE_NAME = "recipe.yaml"
DEFAULT = "default"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class RecipeError(ValueError):
    """The recipe is missing, is not YAML, or breaks the schema; the message names the file and each wrong key."""


class InputSettings(StrictModel):
    """Input of the network; see Input in models/card.py, which adds mean and deviation.

    Attributes:
        size: side of the network's input in pixels.
        resize: makes the image square. `stretch` uses the whole image; `crop` uses the center of its center square.
        crop: share of that square's side, for `resize: crop`.
        window: values of a 16-bit gray image that become black and white; values beyond are clipped. `percentiles`:
            measure them in each image.
    """

    size: Annotated[int, Field(ge=4, le=4096)] = 24
    resize: Literal["stretch", "crop"] = "stretch"
    crop: Annotated[float, Field(gt=0.1, le=1)] = 1.0
    window: Window = FULL_RANGE

    @model_validator(mode="after")
    def crop_needs_its_rule(self) -> InputSettings:
        """Check that crop is set only where it is used."""
        if self.resize == "stretch" and self.crop != 1:
            raise ValueError("crop applies to `resize: crop` only; `resize: stretch` uses the whole image")
        return self


class Loss(StrictModel):
    """Loss function, see training/loop/losses.py.

    Attributes:
        name: loss function; `mean_squared_error` is the Brier score.
        label_smoothing: share of the target spread over all classes (Szegedy et al. 2016, arXiv:1512.00567).
        class_weights: `balanced` weighs each class by the inverse of its share of the training images.
        gamma: exponent of the focal loss. With a larger value, images that are easy count less.
    """

    name: Literal["cross_entropy", "mean_squared_error", "focal"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    gamma: Rate = 2.0


class Optimizer(StrictModel):
    """Optimizer, see training/loop/optimizer.py.

    Attributes:
        name: optimizer of torch.
        learning_rate: highest learning rate of the schedule.
        momentum: momentum of `sgd`.
        nesterov: Nesterov's momentum, for `sgd`.
        betas: decays of the two averages of `adam` and `adamw`.
        l1: factor of the summed absolute weights, which are added to the loss. Biases and norms are left out.
        weight_decay: L2 factor. `adamw` applies it to the weights, the others to the gradient. Biases and norms are
            left out.
        clip: maximum norm of the gradient; null does not clip.
    """

    name: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: Positive = 0.02
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    l1: Rate = 0.0
    weight_decay: Rate = 0.0
    clip: Positive | None = None

    @model_validator(mode="after")
    def nesterov_needs_momentum(self) -> Optimizer:
        """Check that nesterov has momentum, as torch.optim.SGD requires."""
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs momentum above 0")
        return self


class Schedule(StrictModel):
    """Learning rate schedule.

    Attributes:
        name: shape of the schedule. `one_cycle` falls linearly, `cosine` along a cosine, and `constant` stays at the
            highest rate.
        warmup: share of all steps in which `one_cycle` and `cosine` rise linearly to the highest rate.
        last: learning rate of the last step, as a share of the highest rate.
    """

    name: Literal["constant", "cosine", "one_cycle"] = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.2
    last: Share = 0.0


class Augmentation(StrictModel):
    """Augmentation of training images, see training/loop/augment.py; off by default.

    Attributes:
        crop: pixels by which the crop moves beyond the image's edges, which are mirrored.
        flip: swap left and right with probability 0.5.
        quarter_turns: turn by 0, 90, 180 or 270 degrees, each with the same probability.
        color: share by which brightness, contrast and saturation change at most.
        tint: share by which red, green and blue each become darker at most: other lamps, stains and white balances.
        gray: probability of an image without color.
        invert: probability of a negative.
        blur: largest standard deviation of a Gaussian blur in pixels; each image gets one from 0 to this.
        cutout: side in pixels of a square that is blanked (DeVries and Taylor 2017, arXiv:1708.04552).
        mixup: alpha of the Beta distribution that mixes two images and labels (Zhang et al. 2018, arXiv:1710.09412).
    """

    crop: Annotated[int, Field(ge=0)] = 0
    flip: bool = False
    quarter_turns: bool = False
    color: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tint: Annotated[float, Field(ge=0, lt=1)] = 0.0
    gray: Share = 0.0
    invert: Share = 0.0
    blur: Rate = 0.0
    cutout: Annotated[int, Field(ge=0)] = 0
    mixup: Rate = 0.0


class Progressive(StrictModel):
    """Progressive resizing: the first epochs train on smaller images, which costs less. The network must take any size.

    Howard 2018 (fast.ai in DAWNBench); Tan and Le 2021, arXiv:2104.00298.

    Attributes:
        size: side of the smaller images in pixels, below `input.size`.
        epochs: number of epochs with smaller images.
    """

    size: Annotated[int, Field(ge=4)]
    epochs: Annotated[int, Field(ge=1)]


class EarlyStopping(StrictModel):
    """Training ends after `patience` epochs without a lower calibration loss; the best epoch's weights stay.

    Attributes:
        patience: number of epochs without a lower calibration loss after which the training ends.
    """

    patience: Annotated[int, Field(ge=1)]


class Recipe(StrictModel):
    """A whole recipe; each part has its own docstring.

    Attributes:
        description: text for readers of the recipe.
        data: data set, as for `--data`. Without it, `--data` is required.
        architecture: network.
        weights: initial weights: a `.safetensors` file, a state dict (`.pth`) or a release folder. Tensors that do not
            fit are listed.
        input: input of the network.
        epochs: number of passes over the training images.
        batch_size: images in a step, over all processes together.
        seed: start of all random numbers: initial weights, order, augmentation.
        loss: loss function.
        optimizer: optimizer and regularization.
        schedule: learning rate over time.
        augmentation: random changes of the training images. Each is off by default.
        progressive: smaller images in the first epochs; null trains on whole images.
        precision: number format of the forward pass. `bfloat16` uses autocast; weights stay float32.
        channels_last: memory layout that suits convolutions.
        compile: compile the network with torch.compile.
        ema: decay per step of a moving average of the weights. The average is then measured and saved. null: none.
        early_stopping: end the training when the calibration loss no longer falls. The best epoch's weights are saved.
            null: train all epochs.
        uncertainty: settings of the uncertainty, which is fitted after the training.
    """

    description: str = ""
    data: str | None = None
    architecture: Architecture = Architecture(name="cnn")
    weights: str | None = None
    input: InputSettings = InputSettings()
    epochs: Annotated[int, Field(ge=1)] = 15
    batch_size: Annotated[int, Field(ge=1)] = 32
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    augmentation: Augmentation = Augmentation()
    progressive: Progressive | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    early_stopping: EarlyStopping | None = None
    uncertainty: UncertaintySettings = UncertaintySettings()

    @field_validator("architecture")
    @classmethod
    def architecture_exists(cls, architecture: Architecture) -> Architecture:
        """Check the name before any image is read."""
        if architecture.name not in architectures.names():
            raise ValueError(f"no architecture {architecture.name!r}: there are {', '.join(architectures.names())}")
        return architecture

    @model_validator(mode="after")
    def augmentation_fits_the_picture(self) -> Recipe:
        """Check that padding, cutout and blur are smaller than the image."""
        for name in ("crop", "cutout", "blur"):
            if (pixels := getattr(self.augmentation, name)) >= self.input.size:
                raise ValueError(f"augmentation.{name} is {pixels:g}: it must be below input.size, {self.input.size}")
        return self

    @model_validator(mode="after")
    def progressive_pictures_are_smaller(self) -> Recipe:
        """Check that progressive images are smaller than the input."""
        if self.progressive is not None and self.progressive.size >= self.input.size:
            raise ValueError(
                f"progressive.size is {self.progressive.size}: it must be below input.size, {self.input.size}, or "
                "nothing at all (--set progressive=null)"
            )
        return self

    def to_yaml(self) -> str:
        """Return the recipe as YAML, with defaults."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def names() -> list[str]:
    """Return the names of the recipes that come with the project."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(which: str, changes: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe by name or path.

    Args:
        which: one of `names()`, or the path of a YAML file.
        changes: values by dotted key, such as {"optimizer.learning_rate": 0.1}, that go before those of the file.

    Raises:
        RecipeError: there is none, it is not YAML, or a key or value is wrong.
    """
    path = FOLDER / f"{which}.yaml" if which in names() else Path(which)
    try:
        content = documents.read_yaml(path) or {}
    except OSError as error:
        raise RecipeError(
            f"recipe {which!r} cannot be read ({error.strerror}): give a YAML file, or one of {', '.join(names())}"
        ) from None
    except DocumentError as error:
        raise RecipeError(str(error)) from None
    if not isinstance(content, dict):
        raise RecipeError(f"{path}: must hold `key: value` lines, such as `epochs: 10`")
    for key, value in (changes or {}).items():
        _put(content, key, value)
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        # The error may come from `changes`, so a built-in recipe is named, not its file.
        raise RecipeError(
            f"{f'recipe {which}' if which in names() else path}: {unknown_key(error, Recipe) or describe(error)}"
        ) from None


def assignment(text: str) -> tuple[str, Any]:
    """Parse `key=value` of the command line into the dotted key and the value, which is YAML.

    Raises:
        RecipeError: the text has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"--set {text!r}: write KEY=VALUE, such as --set optimizer.learning_rate=0.1")
    try:
        return key, documents.parse_yaml(value, key)
    except DocumentError:
        raise RecipeError(f"--set {text!r}: {value!r} is not a YAML value") from None


def _put(content: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for name in parents:
        inner = content.get(name)
        if not isinstance(inner, dict):
            inner = content[name] = {}
        content = inner
    content[last] = value
