"""Ask a running server what is on an image."""

from __future__ import annotations

import argparse
import json

from scripts import ask
from scripts.command import command
from serving.client import read_image


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, ask, and print the answer."""
    parser = argparse.ArgumentParser(prog="python -m scripts.predict", description=__doc__)
    ask.add_flags(parser)
    arguments = parser.parse_args(argv)
    image = read_image(arguments.image)
    answer = ask.client(arguments).predict(arguments.model, image, arguments.version, top_k=arguments.top_k)
    print(json.dumps(answer, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
