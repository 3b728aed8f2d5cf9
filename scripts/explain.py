"""Ask a running server why it answers so: writes the heat map over the image, and prints the rest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from scripts import ask
from scripts.command import command
from serving.client import read_image


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, ask, write the picture, and print the answer."""
    parser = argparse.ArgumentParser(prog="python -m scripts.explain", description=__doc__)
    ask.add_flags(parser)
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="picture to write (default: overlay.png)")
    parser.add_argument("--method", default="ig", help="attribution method (default: ig)")
    parser.add_argument("--target", help="class to explain, as label or index (default: the predicted one)")
    arguments = parser.parse_args(argv)
    options = {"top_k": arguments.top_k, "method": arguments.method}
    if arguments.target is not None:
        options["target"] = arguments.target
    image = read_image(arguments.image)
    answer = ask.client(arguments).explain(arguments.model, image, arguments.version, **options)
    arguments.out.write_bytes(answer.pop("overlay_png"))
    print(json.dumps(answer, indent=2, ensure_ascii=False))
    print(f"{arguments.out}: red speaks for {answer['target']['label']!r}, blue against it")


if __name__ == "__main__":
    main()
