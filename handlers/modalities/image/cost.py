"""Estimates of what decoding costs, made before any pixel is decoded.

A batch is answered as a whole, so one costly image delays everybody in it. The proxy says which requests it can
send to other workers instead; such a request is answered with HeavyRequest if it would take long.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image

from handlers.errors import RequestError
from handlers.modalities.image import jpeg

# The proxy's mark on a request that it can send to another worker.
MOVABLE_HEADER = "x-torchlight-movable"
# A prediction that takes less work is light. The proxy has the same value (LIGHT_MS in serving/proxy/haproxy.py).
LIGHT_SECONDS = 0.01
# Estimated milliseconds from which such a request is not decoded.
HEAVY_MS = 20.0
# Nanoseconds a pixel, measured on one core of 2.5 GHz: decoding and resizing of a flat image, which needs few bytes.
_JPEG, _PROGRESSIVE, _WEBP = 1.5, 6.0, 23.0
_PNG = {"1": 9.0, "L": 7.0, "P": 9.0, "RGB": 18.0}
_OTHER_PNG = 40.0


class HeavyRequest(RequestError):
    """This request is for other workers; the proxy sends it there, and no client sees this."""

    status = 425


def decode_ms(image: Image.Image) -> float:
    """Return the estimated milliseconds that an opened image takes to decode and resize."""
    if image.format in jpeg.FORMATS:
        each = _PROGRESSIVE if image.info.get("progressive") else _JPEG
    else:
        each = _WEBP if image.format == "WEBP" else _PNG.get(image.mode, _OTHER_PNG)
    return image.width * image.height * each / 1e6


def check(headers: Mapping[str, str], milliseconds: float) -> None:
    """Refuse a request that other workers can take.

    Raises:
        HeavyRequest: it is marked, and takes HEAVY_MS or more.
    """
    if milliseconds >= HEAVY_MS and MOVABLE_HEADER in headers:
        raise HeavyRequest(f"decoding takes {milliseconds:.0f} ms, and other requests wait")
