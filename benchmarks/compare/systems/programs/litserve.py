# mypy: disable-error-code="import-not-found, misc, no-any-unimported"
"""LitServe: decode_request for each image, predict for the batch."""

import sys
from typing import Any

import litserve as ls
from fastapi import Request

from benchmarks.compare.systems.programs.classifier import Prediction, load, read_description


class Images(ls.LitAPI):
    """API that classifies the file of a form."""

    def setup(self, device: str) -> None:
        """Load the model in each worker."""
        self.classifier = load()

    def decode_request(self, request: Request) -> Any:
        """Decode a form into an input. LitServe reads the type of `request` at run time, so it must not be a string."""
        return self.classifier.pixels(request["content"].file.read())

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Return the list: the classifier stacks the inputs itself."""
        return inputs

    def predict(self, inputs: list[Any]) -> list[Prediction]:
        """Classify the inputs of a batch."""
        return self.classifier.classify(inputs)


if __name__ == "__main__":
    model = read_description()
    engine_mode = model["mode"] == "engine"
    api = Images(max_batch_size=model["batch"], batch_timeout=0.005 if engine_mode else 0.05)
    server = ls.LitServer(api, accelerator="cpu", workers_per_device=model["cores"] if engine_mode else 1)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
