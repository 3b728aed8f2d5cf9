# mypy: disable-error-code="import-not-found, misc, no-any-unimported"
"""LitServe: decode_request for each image, predict for the batch."""

import sys
from typing import Any

import litserve as ls
from fastapi import Request

from benchmarks.compare.systems.programs.classifier import Prediction, described, load


class Images(ls.LitAPI):
    """A file of a form -> its class."""

    def setup(self, device: str) -> None:
        """In each worker."""
        self.classifier = load()

    def decode_request(self, request: Request) -> Any:
        """One form -> one input. Its type is read at run time, so it must not be a string."""
        return self.classifier.pixels(request["content"].file.read())

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Left as a list: the classifier stacks them itself."""
        return inputs

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        """All inputs of a batch."""
        return self.classifier.classify(inputs)


if __name__ == "__main__":
    model = described()
    best = model["mode"] == "engine"
    api = Images(max_batch_size=model["batch"], batch_timeout=0.005 if best else 0.05)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=model["cores"] if best else 1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
