# mypy: disable-error-code="import-not-found, untyped-decorator"
"""BentoML: an API that takes and gives lists, which its dispatcher makes of several requests."""

from pathlib import Path

import bentoml

from benchmarks.compare.systems.programs.classifier import Prediction, described, load

MODEL = described()
WORKERS = MODEL["cores"] if MODEL["mode"] == "engine" else 1


@bentoml.service(workers=WORKERS)
class Images:
    """Files of a form -> their classes."""

    def __init__(self) -> None:
        self.classifier = load()

    @bentoml.api(batchable=True, max_batch_size=MODEL["batch"])
    def classify(self, images: list[Path]) -> list[Prediction]:
        """Some files -> as many answers."""
        inputs = [self.classifier.pixels(path.read_bytes()) for path in images]
        return self.classifier.classify(inputs)
