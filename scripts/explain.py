"""Ask a running server why it answers so: writes the evidence over the image, and prints the rest."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import ask
from scripts.command import command


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags, ask, write the picture, and print the answer."""
    parser = argparse.ArgumentParser(prog="python -m scripts.explain", description=__doc__)
    parser.add_argument("image", help="a JPEG, PNG, WebP or .npy file")
    ask.add_flags(parser)
    parser.add_argument("--out", type=Path, default=Path("overlay.png"), help="picture to write (default: overlay.png)")
    parser.add_argument("--method", help="attribution method (default: the model's own)")
    parser.add_argument("--target", help="class to explain, as label or index (default: the predicted one)")
    parser.add_argument("--contrast", metavar="A,B", help="what speaks for class A and against class B")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other one of docs/http.md, such as steps=50, baseline=mean, deadline_ms=200 or faithfulness=true",
    )
    arguments = parser.parse_args(argv)
    options = _options(arguments.option)
    if arguments.contrast:
        options["contrast"] = arguments.contrast
    with ask.client(arguments) as client:
        answer = client.explain(
            arguments.model,
            arguments.image,
            arguments.version,
            method=arguments.method,
            target=arguments.target,
            options=options,
            top_k=arguments.top_k,
        )
    arguments.out.write_bytes(answer.overlay_png)
    print(json.dumps(_readable(answer.raw), indent=2, ensure_ascii=False))
    for warning in answer.raw["warnings"]:
        print(f"warning: {warning['message']}")
    print(f"{answer.sentence} {arguments.out} shows it: red speaks for {answer.target.label!r}, blue against it.")


def _options(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--option {text!r} is no NAME=VALUE")
        found[name] = value
    return found


def _readable(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Without the bytes of thumbnails, which say nothing to people."""
    shown = dict(raw)
    if "neighbors" in raw:
        shown["neighbors"] = [{**one, "thumbnail": f"{len(one['thumbnail'])} characters"} for one in raw["neighbors"]]
    return shown


if __name__ == "__main__":
    main()
