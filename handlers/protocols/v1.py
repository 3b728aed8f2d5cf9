"""KServe's v1 protocol, which is also that of TensorFlow Serving's REST API and of Vertex AI.

    {"instances": [...], "parameters": {...}}  ->  {"predictions": [...]} or {"explanations": [...]}

Source: KServe, "V1 Inference Protocol"; TensorFlow Serving, "RESTful API", row format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from handlers.errors import BadJSON, BadOption, TooManyImages
from handlers.modalities.image.arrays import from_lists
from handlers.modalities.image.images import ImageInput
from handlers.protocols import JSON, Explanation, Response, Result, from_base64
from handlers.protocols.native import members, render
from models.card import Card, Limits

# Members of an instance that hold its image. TorchServe's samples have `data`, TensorFlow Serving's `image_bytes`, and
# Vertex AI's `content`.
IMAGE_MEMBERS = ("data", "image", "image_bytes", "content")
# Members that an instance may have beside its image: the class to explain, and a key that its answer repeats.
TARGET, KEY = "target", "key"
MAX_KEY = 200
_FORMS = (
    '{"b64": "<base64>"}, {"data": "<base64>"}, {"image_bytes": {"b64": ...}}, {"image": "<base64>"}, "<base64>" or '
    "nested lists of pixels"
)


def parse(
    document: dict[str, Any], kind: str, limits: Limits
) -> tuple[list[tuple[str, ImageInput]], list[tuple[str, Any, str]], V1Encoder]:
    """Parse a document with `instances` into images, options, and the encoder of the response.

    Raises:
        BadJSON, BadTensor, ImageTooLarge, TooManyImages: the document or an instance is not of the protocol's form.
    """
    member = "instances" if "instances" in document else "inputs"  # the specification has both
    instances = document.get(member)
    if not isinstance(instances, list) or not instances:
        raise BadJSON(f"member 'instances' must be a list of images: {{\"instances\": [...]}}, each {_FORMS}")
    if len(instances) > limits.max_images:
        raise TooManyImages(f"{len(instances):,} instances: at most {limits.max_images} images go into one request")
    images = [(f"instance {index}", _image(_bare(value), index, limits)) for index, value in enumerate(instances)]
    options = _target(instances) if kind == "explain" else []
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadJSON(f"member 'parameters' is {type(parameters).__name__}: it must be an object with options")
    # TensorFlow Serving's clients name a signature; there is one here, so the name says nothing.
    plain = {n: v for n, v in document.items() if n not in (member, "parameters", "signature_name")}
    options += [(name, value, "JSON") for name, value in [*plain.items(), *parameters.items()]]
    return images, options, V1Encoder(kind, _keys(instances))


def _keys(instances: list[Any]) -> tuple[str | int | None, ...]:
    """Return the key of each instance; nothing if none has a key.

    Raises:
        BadJSON: a key is neither a string nor a number.
    """
    keys = tuple(value.get(KEY) if isinstance(value, dict) else None for value in instances)
    for index, key in enumerate(keys):
        if not isinstance(key, str | int | None) or (isinstance(key, str) and len(key) > MAX_KEY):
            raise BadJSON(
                f"instance {index} has the key {key!r:.40}: it must be a number or a string of {MAX_KEY} letters"
            )
    return keys if any(key is not None for key in keys) else ()


def _target(instances: list[Any]) -> list[tuple[str, Any, str]]:
    """Return the option `target` if the instances have one, as TorchServe's samples do.

    Raises:
        BadOption: their targets differ, and one request explains one class.
    """
    targets = [value.get(TARGET) if isinstance(value, dict) else None for value in instances]
    if any(target != targets[0] for target in targets):
        raise BadOption(f"the instances have targets {targets[:10]!r:.80}: give all the same, or send them apart")
    return [] if targets[0] is None else [(TARGET, targets[0], "instances")]


def _bare(value: Any) -> Any:
    """Return an instance without the members that are not its image."""
    return {n: v for n, v in value.items() if n not in (KEY, TARGET)} if isinstance(value, dict) else value


def _image(value: Any, index: int, limits: Limits, *, in_member: bool = False) -> ImageInput:
    """Return the image of an instance, or of the one member of an instance that may hold another object."""
    where = f"instance {index}"
    if isinstance(value, list):
        return from_lists(value, limits)[0]
    if isinstance(value, str):
        return from_base64(value, where)
    if isinstance(value, dict):
        if list(value) == ["b64"]:
            return from_base64(value["b64"], where)
        if not in_member and len(value) == 1 and (name := next(iter(value))) in IMAGE_MEMBERS:
            return _image(value[name], index, limits, in_member=True)
    form = f"an object with {', '.join(value)[:80] or 'no members'}" if isinstance(value, dict) else f"{value!r:.40}"
    raise BadJSON(f"{where} is {form}: send {_FORMS}")


@dataclass(frozen=True, slots=True)
class V1Encoder:
    """Encoder of one entry for each instance: an object with the members of our own responses."""

    kind: str
    keys: tuple[Any, ...] = ()
    renders: ClassVar[bool] = True

    def render(self, explanation: Explanation) -> int:
        """Render the pictures of our own JSON."""
        return render(explanation)

    def encode(self, card: Card, request_id: str, results: Sequence[Result]) -> Response:
        """Encode `predictions` or `explanations`, in the order of the instances."""
        member = "explanations" if self.kind == "explain" else "predictions"
        entries = [members(result) for result in results]
        keys = self.keys or (None,) * len(entries)
        keyed = [entry if key is None else {KEY: key, **entry} for key, entry in zip(keys, entries, strict=True)]
        return Response(orjson.dumps({member: keyed}), {"content-type": JSON})
