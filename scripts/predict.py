"""Predict one or several images with a running server."""

from __future__ import annotations

import argparse
import json
from typing import Any

from scripts import ask
from scripts.command import command
from serving.client import Prediction


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, predict, and print the response."""
    parser = argparse.ArgumentParser(prog="python -m scripts.predict", description=__doc__)
    parser.add_argument(
        "images", nargs="+", metavar="image", help="a JPEG, PNG, WebP or .npy file; several are sent in one request"
    )
    ask.add_flags(parser)
    arguments = parser.parse_args(argv)
    with ask.client(arguments) as client:
        predictions = client.predict(arguments.model, arguments.images, arguments.version, top_k=arguments.top_k)
    print(json.dumps(shown(arguments.images, predictions), indent=2, ensure_ascii=False))


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
    main()
