"""Decoding of a request's images. Only the data for the network and for an explanation stays in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from handlers.errors import ImageTooLarge, RequestError
from handlers.modalities.image import cost, images
from handlers.modalities.image.images import ImageInput, View
from models.card import Input, Limits


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """One image, ready for the network.

    Attributes:
        pixels: uint8 (3, size, size).
        view: what an explanation is drawn on; None for a prediction.
    """

    pixels: torch.Tensor
    view: View | None


def decode_images(
    sources: Sequence[tuple[str, ImageInput]],
    spec: Input,
    limits: Limits,
    headers: Mapping[str, str],
    check_time: Callable[[], None],
    *,
    with_views: bool,
) -> list[DecodedImage]:
    """Decode the images of a request, each with its name for error messages.

    Args:
        headers: of the request; one of them allows that another worker decodes it.
        check_time: called before each image; raises if the batch's budget is spent.

    Raises:
        RequestError: an image cannot be decoded. If there are several, the message names it.
        HeavyRequest: another worker is to decode it (handlers/modalities/image/cost.py).
    """
    decoder = _Decoder(spec, limits, headers, with_views=with_views)
    decoded = []
    for number, (name, source) in enumerate(sources, start=1):
        check_time()
        try:
            decoded.append(decoder.decode(source))
        except RequestError as error:
            if len(sources) == 1:
                raise
            raise type(error)(f"image {number} of {len(sources)} ({name[:40]!r}): {error}") from None
    return decoded


class _Decoder:
    """Decoder of a request's images. It sums their pixels and their estimated cost."""

    def __init__(self, spec: Input, limits: Limits, headers: Mapping[str, str], *, with_views: bool) -> None:
        self._spec = spec
        self._limits = limits
        self._headers = headers
        self._with_views = with_views
        self._pixels = 0
        self._milliseconds = 0.0

    def decode(self, source: ImageInput) -> DecodedImage:
        """Decode the next image."""
        window = self._spec.window
        opened = images.open(source, self._limits) if isinstance(source, bytes) else images.from_array(source, window)
        sent_side = max(opened.size)
        self._pixels += opened.width * opened.height
        if self._pixels > (limit := self._limits.max_request_pixels):
            raise ImageTooLarge(f"the images of this request have more than {limit:,} pixels together: send fewer")
        if isinstance(source, bytes):
            self._milliseconds += cost.decode_ms(opened)
            cost.check(self._headers, self._milliseconds)
        picture = images.load(opened, self._spec.pre_crop_size, window) if isinstance(source, bytes) else opened
        view = images.view(picture, self._spec, sent_side) if self._with_views else None
        return DecodedImage(images.pixels(picture, self._spec), view)
