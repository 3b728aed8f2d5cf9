# mypy: disable-error-code="import-not-found, untyped-decorator"
"""BentoML: an API with lists of inputs and outputs. Its dispatcher makes a list from several requests."""

from pathlib import Path

import bentoml

from benchmarks.compare.systems.programs.classifier import Prediction, load, read_description

MODEL = read_description()
WORKERS = MODEL["cores"] if MODEL["mode"] == "engine" else 1


@bentoml.service(workers=WORKERS)
class Images:
    """Service that classifies the files of a form."""

    def __init__(self) -> None:
        self.classifier = load()

    @bentoml.api(batchable=True, max_batch_size=MODEL["batch"])
    def classify(self, images: list[Path]) -> list[Prediction]:
        """Classify some files."""
        inputs = [self.classifier.pixels(path.read_bytes()) for path in images]
        return self.classifier.classify(inputs)
