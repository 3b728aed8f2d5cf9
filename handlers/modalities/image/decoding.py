"""Decode the images of one request, and keep only what is needed of each."""

from __future__ import annotations

from collections.abc import Callable

from handlers.batch import Slot
from handlers.errors import ImageTooLarge, RequestError
from handlers.modalities.image import cost, images
from handlers.protocols import Picture
from models.card import Input, Limits


def decode_images(slot: Slot, spec: Input, limits: Limits, check_time: Callable[[], None]) -> None:
    """Fill a slot's `pixels`, and for explanations its `views`.

    Args:
        check_time: called before each image; raises where no time is left.

    Raises:
        RequestError: an image cannot be decoded; of several, the message says which.
        HeavyRequest: another worker is to decode it (handlers/modalities/image/cost.py).
    """
    decoder = _Decoder(slot, spec, limits)
    for number, (name, source) in enumerate(slot.asked.images, start=1):
        check_time()
        try:
            decoder.add(source)
        except RequestError as error:
            if len(slot.asked.images) == 1:
                raise
            where = f"image {number} of {len(slot.asked.images)} ({name[:40]!r})"
            raise type(error)(f"{where}: {error}") from None


class _Decoder:
    """Decodes the images of a request one by one, and sums their pixels and their cost."""

    def __init__(self, slot: Slot, spec: Input, limits: Limits) -> None:
        self._slot = slot
        self._spec = spec
        self._limits = limits
        self._pixels = 0
        self._milliseconds = 0.0

    def add(self, source: Picture) -> None:
        """Decode one more image."""
        span = self._spec.range_16bit
        opened = images.open(source, self._limits) if isinstance(source, bytes) else images.from_array(source, span)
        sent_side = max(opened.size)
        self._pixels += opened.width * opened.height
        if self._pixels > (limit := self._limits.max_request_pixels):
            raise ImageTooLarge(f"the images of this request have more than {limit:,} pixels together: send fewer")
        if isinstance(source, bytes):
            self._milliseconds += cost.decode_ms(opened)
            cost.check(self._slot.incoming.headers, self._milliseconds)
        picture = images.load(opened, self._spec.pre_crop_size, span) if isinstance(source, bytes) else opened
        self._slot.pixels.append(images.pixels(picture, self._spec))
        if self._slot.asked.kind == "explain":
            self._slot.views.append(images.view(picture, self._spec, sent_side))
