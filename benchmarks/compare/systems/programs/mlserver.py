# mypy: disable-error-code="import-not-found, misc, no-any-unimported"
"""MLServer runtime, which gets the images of several requests as one tensor."""

from mlserver import MLModel
from mlserver.codecs import Base64Codec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from benchmarks.compare.systems.programs.classifier import load


class Images(MLModel):
    """Runtime that classifies BYTES (N,) of base64 images, and returns BYTES (N,) of predictions."""

    async def load(self) -> bool:
        """Load the model in each inference worker."""
        self.classifier = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Classify a batch, which MLServer collects and splits again."""
        images = Base64Codec.decode_input(payload.inputs[0])
        predictions = self.classifier.classify([self.classifier.pixels(image) for image in images])
        output = ResponseOutput(name="answer", shape=[len(predictions)], datatype="BYTES", data=predictions)
        return InferenceResponse(model_name=self.name, outputs=[output])
