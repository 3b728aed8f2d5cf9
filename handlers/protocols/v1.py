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
from handlers.explain.explanation import Explanation
from handlers.modalities.image.arrays import from_lists
from handlers.protocols import Content, Picture, Result, from_base64
from handlers.protocols.native import draw, members
from models.card import Card, Limits

# Members of an instance that hold its image: TorchServe's samples have `data`, TensorFlow Serving's `image_bytes`, and
# Vertex AI's `content`.
IMAGE_MEMBERS = ("data", "image", "image_bytes", "content")
# What an instance may have beside its image: the class to explain, and what its answer is to be recognized by.
TARGET, KEY = "target", "key"
MAX_KEY = 200
_FORMS = (
    '{"b64": "<base64>"}, {"data": "<base64>"}, {"image_bytes": {"b64": ...}}, {"image": "<base64>"}, "<base64>" or '
    "nested lists of pixels"
)


def parse(
    document: dict[str, Any], kind: str, limits: Limits
) -> tuple[list[tuple[str, Picture]], list[tuple[str, Any, str]], V1Reply]:
    """Take a document with `instances` apart: images, options, and how to answer.

    Raises:
        BadJSON, BadTensor, ImageTooLarge, TooManyImages: it is none, or an instance is no image.
    """
    member = "instances" if "instances" in document else "inputs"  # the specification has both
    instances = document.get(member)
    if not isinstance(instances, list) or not instances:
        raise BadJSON(f"member 'instances' must be a list of images: {{\"instances\": [...]}}, each {_FORMS}")
    if len(instances) > limits.max_images:
        raise TooManyImages(f"{len(instances):,} instances: at most {limits.max_images} images go into one request")
    images = [(f"instance {place}", _picture(_bare(value), place, limits)) for place, value in enumerate(instances)]
    given = _target(instances) if kind == "explain" else []
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise BadJSON(f"member 'parameters' is {type(parameters).__name__}: it must be an object with options")
    # TensorFlow Serving's clients name a signature; there is one here, so the name says nothing.
    plain = {n: v for n, v in document.items() if n not in (member, "parameters", "signature_name")}
    given += [(name, value, "JSON") for name, value in [*plain.items(), *parameters.items()]]
    return images, given, V1Reply(kind, _keys(instances))


def _keys(instances: list[Any]) -> tuple[str | int | None, ...]:
    """Return what each instance is to be recognized by; nothing where none has a key.

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
    """Return the option `target` where instances have one, as those of TorchServe's samples do.

    Raises:
        BadOption: they differ, and one request explains one class.
    """
    targets = [value.get(TARGET) if isinstance(value, dict) else None for value in instances]
    if any(target != targets[0] for target in targets):
        raise BadOption(f"the instances have targets {targets[:10]!r:.80}: give all the same, or send them apart")
    return [] if targets[0] is None else [(TARGET, targets[0], "instances")]


def _bare(value: Any) -> Any:
    """Return an instance without the members that are not its image."""
    return {n: v for n, v in value.items() if n not in (KEY, TARGET)} if isinstance(value, dict) else value


def _picture(value: Any, place: int, limits: Limits, *, in_member: bool = False) -> Picture:
    """Return the image of an instance, or of the one member of an instance that may hold another object."""
    where = f"instance {place}"
    if isinstance(value, list):
        return from_lists(value, limits)[0]
    if isinstance(value, str):
        return from_base64(value, where)
    if isinstance(value, dict):
        if list(value) == ["b64"]:
            return from_base64(value["b64"], where)
        if not in_member and len(value) == 1 and (name := next(iter(value))) in IMAGE_MEMBERS:
            return _picture(value[name], place, limits, in_member=True)
    found = f"an object with {', '.join(value)[:80] or 'no members'}" if isinstance(value, dict) else f"{value!r:.40}"
    raise BadJSON(f"{where} is {found}: send {_FORMS}")


@dataclass(frozen=True, slots=True)
class V1Reply:
    """An entry for each instance: an object with the members of our own answers."""

    kind: str
    keys: tuple[Any, ...] = ()
    pictures: ClassVar[bool] = True

    def draw(self, explained: Explanation) -> int:
        """As for our own JSON."""
        return draw(explained)

    def answer(self, card: Card, request_id: str, results: Sequence[Result]) -> Content:
        """`predictions` or `explanations`, in the order of the instances."""
        member = "explanations" if self.kind == "explain" else "predictions"
        entries = [members(result) for result in results]
        keys = self.keys or (None,) * len(entries)
        keyed = [entry if key is None else {KEY: key, **entry} for key, entry in zip(keys, entries, strict=True)]
        return Content(orjson.dumps({member: keyed}))
