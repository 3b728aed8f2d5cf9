"""Heat maps as arrays: the only module that uses NumPy, which is an optional package of the client."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from torchlight_client import failures
from torchlight_client.responses import HttpResponse

if TYPE_CHECKING:
    from numpy.typing import NDArray


def require_numpy() -> None:
    """Check that NumPy is installed, before a request is sent.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import numpy as np  # noqa: F401
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "heat_map() returns a NumPy array, and numpy is not installed: install torchlight-client[numpy], or use "
            "explain(), whose heatmap_png needs no NumPy",
            name="numpy",
        ) from None


def parse(response: HttpResponse, url: str, count: int | None) -> NDArray[Any]:
    """Return the signed heat map, float16 (height, width); for a list of images (count, height, width).

    Raises:
        TorchlightError: the response is an error, or not a heat map.
    """
    import numpy as np

    if response.status != 200:
        raise failures.error_response(response.status, response.headers, response.content, url)
    try:
        values: NDArray[Any] = np.lib.format.read_array(io.BytesIO(response.content), allow_pickle=False)
        if values.dtype != np.float16 or values.ndim not in (2, 3):
            raise ValueError(f"an array {values.dtype} {values.shape}")
        map_shape = values.shape[-2:]
        return values.reshape(map_shape if count is None else (count, *map_shape))
    except ValueError as error:
        content_type = response.headers.get("content-type", "no content type")
        raise failures.invalid_response(url, f"{content_type}, not with a heat map ({error})") from None
