# mypy: disable-error-code="import-not-found, misc, no-any-unimported"
"""MLServer: a runtime whose predict gets the images of several requests as one tensor."""

from mlserver import MLModel
from mlserver.codecs import Base64Codec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from benchmarks.compare.systems.programs.classifier import load


class Images(MLModel):
    """BYTES (N,) of images in base64 -> BYTES (N,) of answers."""

    async def load(self) -> bool:
        """In each inference worker."""
        self.classifier = load()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """A batch, which MLServer made and takes apart again."""
        images = Base64Codec.decode_input(payload.inputs[0])
        answers = self.classifier.classify([self.classifier.pixels(image) for image in images])
        output = ResponseOutput(name="answer", shape=[len(answers)], datatype="BYTES", data=answers)
        return InferenceResponse(model_name=self.name, outputs=[output])
