"""An attribution as a picture: the image in grey, evidence for the target in red, against it in blue."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from handlers.images import VIEW_SIDE

# The picture's long side in pixels: large enough to look at, small enough to send.
MIN_SIDE, MAX_SIDE = 256, VIEW_SIDE
FOR = np.array([178, 24, 43], dtype=np.float32)  # the ends of ColorBrewer's RdBu, safe for the colour-blind
AGAINST = np.array([33, 102, 172], dtype=np.float32)
# One stray pixel must not wash out the rest: the scale ends at this percentile of the absolute values.
SCALE_PERCENTILE = 99.0


def png(image: Image.Image, heat: np.ndarray) -> bytes:
    """Lay a signed heat map (H, W), of the network's input, over the picture that it was made from.

    The map was made from the whole picture stretched to a square, so it is stretched back. The strongest values are
    opaque; a map that is zero everywhere leaves the grey picture.
    """
    scale = min(max(1.0, MIN_SIDE / max(image.size)), MAX_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BICUBIC), dtype=np.float32)
    top = float(np.percentile(np.abs(heat), SCALE_PERCENTILE)) or float(np.abs(heat).max())
    share = Image.fromarray((heat / (top or 1.0)).clip(-1, 1).astype(np.float32))
    share_map = np.asarray(share.resize(size, Image.Resampling.BICUBIC)).clip(-1, 1)
    opacity = np.abs(share_map)[..., None] ** 0.75 * 0.85
    colour = np.where(share_map[..., None] > 0, FOR, AGAINST)
    # The picture is lightened towards mid grey, so that dark images show both colours.
    base = np.repeat((64 + grey * 0.7)[..., None], 3, axis=2)
    mixed = base * (1 - opacity) + colour * opacity
    # Level 3: over optimize=True it takes a tenth of the time for a tenth more bytes.
    buffer = io.BytesIO()
    Image.fromarray(mixed.clip(0, 255).astype(np.uint8)).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
