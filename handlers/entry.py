"""TorchServe's way in, and the only module here that knows TorchServe.

TorchServe imports this file by its base name from the root of the unpacked .mar, and takes the one class in it:
`initialize(context)` once a worker, then `handle(data, context)` for each batch (ts/model_loader.py, ts/service.py).
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import orjson
import torch

from handlers import golden
from handlers.classifier import Answer, Classifier
from handlers.request import Incoming, Part
from models.release import verify_digests


class ImageClassifier:
    """Serves one version of one model in one worker process."""

    def initialize(self, context: Any) -> None:
        """Load the model and prove it, or raise: TorchServe then never calls this worker READY.

        Raises:
            CardError, ReleaseError, EngineError, GoldenError: the archive is not whole, or computes something else
                on this machine than it did where it was trained.
        """
        folder = Path(context.system_properties["model_dir"])
        gpu = context.system_properties.get("gpu_id")
        on_gpu = gpu is not None and torch.cuda.is_available()
        self._classifier = Classifier.load(folder, torch.device(f"cuda:{gpu}" if on_gpu else "cpu"))
        verify_digests(folder, self._classifier.card)
        golden.check(folder, self._classifier)
        _tell_repeated_parts_apart()

    def handle(self, data: list[dict[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch: one body for each request, its status and headers set in the context."""
        headers = [_lower(context.get_all_request_header(place)) for place in range(len(data))]
        described = [_is_describe(parts, names) for parts, names in zip(data, headers, strict=True)]
        incoming = [
            Incoming(
                kind="explain" if names.get("explain") == "True" else "predict",
                parts=tuple(_parts(parts, context.get_all_request_header(place))),
                headers=names,
            )
            for place, (parts, names) in enumerate(zip(data, headers, strict=True))
            if not described[place]
        ]
        answers = iter(self._classifier.answer(incoming))
        return [
            self._describe() if described[place] else _send(next(answers), place, context) for place in range(len(data))
        ]

    def _describe(self) -> bytes:
        return orjson.dumps(self._classifier.card.model_dump(mode="json"))


def _send(answer: Answer, place: int, context: Any) -> bytes:
    context.set_response_status(answer.status.value, answer.status.phrase, idx=place)
    for name, value in answer.headers.items():
        context.set_response_header(place, name, value)
    return answer.body


def _lower(properties: dict[str, Any]) -> dict[str, str]:
    """Headers by lower-case name. What is not text is the type of a part, which TorchServe keeps among them."""
    return {name.lower(): value for name, value in properties.items() if isinstance(value, str)}


def _parts(parts: dict[str, Any], properties: dict[str, Any]) -> list[Part]:
    found = []
    for name, content in parts.items():
        kept = properties.get(name)
        found.append(Part(name, content, kept["content-type"] if isinstance(kept, dict) else ""))
    return found


def _is_describe(parts: dict[str, Any], headers: dict[str, str]) -> bool:
    """Whether the management API asks for the model's description (`GET /models/<model>?customized=true`).

    TorchServe marks that by a header, which a client can send with a prediction too; only the request of its own has
    no body.
    """
    return headers.get("describe") == "True" and not any(parts.values())


def _tell_repeated_parts_apart() -> None:
    """Number multipart parts that share a name: image, image#2, ...

    TorchServe's worker puts the parts into a dict by name (ts/service.py, retrieve_data_for_inference), so of
    `-F image=@a.png -F image=@b.png` it would keep only the last, without a word.
    """
    from ts.service import Service

    original = Service.retrieve_data_for_inference
    if getattr(original, "tells_repeated_parts_apart", False):
        return

    def retrieve(batch: list[dict[str, Any]]) -> Any:
        for request in batch:
            taken: set[str] = set()
            for parameter in request["parameters"]:
                name = parameter["name"]
                numbered = (f"{name}#{number}" for number in count(2))
                parameter["name"] = name if name not in taken else next(n for n in numbered if n not in taken)
                taken.add(parameter["name"])
        return original(batch)

    retrieve.tells_repeated_parts_apart = True  # type: ignore[attr-defined]
    Service.retrieve_data_for_inference = staticmethod(retrieve)
