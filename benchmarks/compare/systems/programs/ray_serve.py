# mypy: disable-error-code="import-not-found, untyped-decorator, no-any-unimported, attr-defined"
"""Ray Serve: single requests are collected by @serve.batch; the cluster lives in TMPDIR and ends with this process."""

import os
import signal
import sys
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.compare.systems.programs.classifier import Prediction, described, load

MODEL = described()
BEST = MODEL["mode"] == "engine"


@serve.deployment(num_replicas=MODEL["cores"] if BEST else 1, max_ongoing_requests=2 * MODEL["batch"])
class Images:
    """The body of a request -> its class."""

    def __init__(self) -> None:
        self.classifier = load()

    @serve.batch(max_batch_size=MODEL["batch"], batch_wait_timeout_s=0.005 if BEST else 0.1)
    async def classify(self, images: list[bytes]) -> list[Prediction]:
        """Bodies of several requests."""
        return self.classifier.classify([self.classifier.pixels(image) for image in images])

    async def __call__(self, request: Request) -> Any:
        """One request."""
        return await self.classify(await request.body())


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ray.init(include_dashboard=False, _temp_dir=os.environ["TMPDIR"])
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(Images.bind(), blocking=True)
