"""Ask a running server why it answers so: writes the heat map over the image, and prints the rest."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from scripts import ask
from scripts.command import command


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, ask, write the picture, and print the answer."""
    parser = argparse.ArgumentParser(prog="python -m scripts.explain", description=__doc__)
    parser.add_argument("image", help="a JPEG, PNG, WebP or .npy file")
    ask.add_flags(parser)
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="picture to write (default: overlay.png)")
    parser.add_argument("--method", default="ig", help="attribution method (default: ig)")
    parser.add_argument("--target", help="class to explain, as label or index (default: the predicted one)")
    arguments = parser.parse_args(argv)
    with ask.client(arguments) as client:
        answer = client.explain(
            arguments.model,
            arguments.image,
            arguments.version,
            method=arguments.method,
            target=arguments.target,
            top_k=arguments.top_k,
        )
    arguments.out.write_bytes(answer.overlay_png)
    print(json.dumps(answer.raw, indent=2, ensure_ascii=False))
    print(f"{arguments.out}: red speaks for {answer.target.label!r}, blue against it")


if __name__ == "__main__":
    main()
