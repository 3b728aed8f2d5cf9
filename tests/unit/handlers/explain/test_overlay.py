from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from handlers.explain import overlay


def drawn(image: Image.Image, heat: np.ndarray) -> np.ndarray:
    content = overlay.png(image, heat)
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    picture = Image.open(io.BytesIO(content))
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(int)


def ramp() -> Image.Image:
    return Image.linear_gradient("L").convert("RGB")


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), (256, 256)),
        ((100, 50), (256, 128)),
        ((300, 400), (300, 400)),
        ((4000, 2000), (512, 256)),
        ((1, 1), (256, 256)),
        ((1, 4000), (1, 512)),
    ],
)
def test_the_picture_keeps_its_shape_and_has_a_size_to_look_at(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    width, height = expected
    assert drawn(Image.new("RGB", size), np.zeros((24, 24), np.float32)).shape == (height, width, 3)


def test_a_map_of_zeros_leaves_the_grey_picture() -> None:
    picture = drawn(ramp(), np.zeros((24, 24), np.float32))
    assert (picture == picture[..., :1]).all()
    assert picture[250, 128, 0] > picture[128, 128, 0] > picture[5, 128, 0]


def test_evidence_for_is_red_and_against_is_blue() -> None:
    heat = np.zeros((24, 24), np.float32)
    heat[:, :8], heat[:, 16:] = 1, -1
    picture = drawn(Image.new("RGB", (240, 240), (128, 128, 128)), heat)
    left, middle, right = picture[120, 30], picture[120, 120], picture[120, 220]
    assert left[0] > left[1] + 60
    assert left[0] > left[2] + 60
    assert right[2] > right[0] + 60
    assert len(set(middle.tolist())) == 1


def test_a_map_lies_where_the_picture_is() -> None:
    heat = np.zeros((24, 24), np.float32)
    heat[:8, :] = 1
    picture = drawn(Image.new("RGB", (300, 150), (128, 128, 128)), heat)
    assert picture[10, 150, 0] > picture[10, 150, 2] + 60
    assert len(set(picture[140, 150].tolist())) == 1


def test_strength_is_relative_to_the_map_itself() -> None:
    heat = np.linspace(-1, 1, 24 * 24, dtype=np.float32).reshape(24, 24)
    assert np.array_equal(drawn(ramp(), heat), drawn(ramp(), heat * 1024))


def test_one_stray_pixel_does_not_wash_out_the_rest() -> None:
    heat = np.zeros((24, 24), np.float32)
    heat[:12] = 1
    calm = drawn(ramp(), heat)
    heat[20, 20] = 1e6
    stray = drawn(ramp(), heat)
    assert np.abs(calm[:100] - stray[:100]).max() <= 1


def test_stronger_evidence_covers_more_of_the_picture() -> None:
    heat = np.zeros((24, 24), np.float32)
    heat[:, :8], heat[:, 8:16] = 1, 0.3
    picture = drawn(Image.new("RGB", (240, 240), (128, 128, 128)), heat)
    strong, weak, none = (picture[120, column, 1] for column in (40, 120, 220))
    assert strong < weak < none
