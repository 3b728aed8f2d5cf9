# mypy: disable-error-code="import-not-found, untyped-decorator, no-any-unimported, attr-defined"
"""Ray Serve: @serve.batch collects single requests. The cluster is in TMPDIR, and ends with this process."""

import os
import signal
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.compare.systems.programs.classifier import Prediction, load, read_description

MODEL = read_description()
ENGINE_MODE = MODEL["mode"] == "engine"


@serve.deployment(num_replicas=MODEL["cores"] if ENGINE_MODE else 1, max_ongoing_requests=2 * MODEL["batch"])
class Images:
    """Deployment that classifies the body of a request."""

    def __init__(self) -> None:
        self.classifier = load()

    @serve.batch(max_batch_size=MODEL["batch"], batch_wait_timeout_s=0.005 if ENGINE_MODE else 0.1)
    async def classify(self, images: list[bytes]) -> list[Prediction]:
        """Classify the bodies of several requests."""
        return self.classifier.classify([self.classifier.pixels(image) for image in images])

    async def __call__(self, request: Request) -> Any:
        """Classify the body of one request."""
        return await self.classify(await request.body())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ray.init(include_dashboard=False, _temp_dir=os.environ["TMPDIR"])
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Images.bind(), blocking=True)
