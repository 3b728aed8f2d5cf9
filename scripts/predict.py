"""Ask a running server what is on an image, or on each of several."""

from __future__ import annotations

import argparse
import json
from typing import Any

from scripts import ask
from scripts.command import command
from serving.client import Prediction


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, ask, and print the answer."""
    parser = argparse.ArgumentParser(prog="python -m scripts.predict", description=__doc__)
    parser.add_argument(
        "images", nargs="+", metavar="image", help="a JPEG, PNG, WebP or .npy file; several are sent as one"
    )
    ask.add_flags(parser)
    arguments = parser.parse_args(argv)
    with ask.client(arguments) as client:
        answers = client.predict(arguments.model, arguments.images, arguments.version, top_k=arguments.top_k)
    print(json.dumps(shown(arguments.images, answers), indent=2, ensure_ascii=False))


def shown(images: list[str], answers: list[Prediction]) -> dict[str, Any]:
    """The server's JSON; that of several images with the name of each."""
    if len(answers) == 1:
        return dict(answers[0].raw)
    results = [
        {"image": image, "predictions": answer.raw["predictions"]}
        for image, answer in zip(images, answers, strict=True)
    ]
    common = {name: value for name, value in answers[0].raw.items() if name != "predictions"}
    return {**common, "results": results}


if __name__ == "__main__":
    main()
