# mypy: disable-error-code="import-not-found, untyped-decorator"
"""FastAPI: an endpoint that calls the network."""

from __future__ import annotations

from fastapi import FastAPI, Request

from benchmarks.compare.systems.programs.classifier import Prediction, load

app = FastAPI()
model = load()


@app.post("/predict")
async def predict(request: Request) -> Prediction:
    """Classify the image in the body."""
    return model.classify([model.pixels(await request.body())])[0]
