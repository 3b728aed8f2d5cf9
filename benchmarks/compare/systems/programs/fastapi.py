# mypy: disable-error-code="import-not-found, untyped-decorator"
"""FastAPI: the network is called in the endpoint."""

from __future__ import annotations

from fastapi import FastAPI, Request

from benchmarks.compare.systems.programs.classifier import Prediction, load

app = FastAPI()
model = load()


@app.post("/predict")
async def predict(request: Request) -> Prediction:
    """The body is one image."""
    return model.classify([model.pixels(await request.body())])[0]
