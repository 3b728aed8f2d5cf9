"""Predict one or several images with a running server.

For example:

    torchlight predict samples/3.png samples/7.png
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import Parameter

from scripts import ask, cli
from torchlight_client import Prediction


def main(*images: Annotated[str, Parameter(required=True)], server: ask.Server = ask.DEFAULT) -> None:
    """Predict, and print the response.

    Args:
        images: JPEG, PNG, WebP or .npy files; several are sent in one request
    """
    with ask.client(server) as client:
        predictions = client.predict(server.model, list(images), server.version, top_k=server.top_k)
    print(json.dumps(shown(list(images), predictions), indent=2, ensure_ascii=False))


def shown(images: list[str], predictions: list[Prediction]) -> dict[str, Any]:
    """Return the server's JSON; for several images, each result has the name of its image."""
    if len(predictions) == 1:
        return dict(predictions[0].raw)
    results = [
        {"image": image, "predictions": prediction.raw["predictions"]}
        for image, prediction in zip(images, predictions, strict=True)
    ]
    common = {name: value for name, value in predictions[0].raw.items() if name != "predictions"}
    return {**common, "results": results}


if __name__ == "__main__":
    cli.run("predict")
