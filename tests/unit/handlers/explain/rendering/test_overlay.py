from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from handlers.explain.rendering import colormaps, overlay
from handlers.explain.rendering.legend import HEIGHT, MIN_WIDTH, Caption, Class
from handlers.explain.rendering.overlay import MAX_BYTES, Style
from handlers.modalities.image.images import VIEW_SIDE

CAPTION = Caption("Integrated Gradients", Class(6, "frog"), probability=0.93, version="1.0")
# A palette of 256 colors is this near to the picture it is for.
NEAR = 8


def opened(content: bytes) -> np.ndarray:
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def drawn(image: Image.Image, heat: np.ndarray, style: Style | None = None) -> np.ndarray:
    """The picture without the strip below it."""
    return opened(overlay.overlay(image, heat, CAPTION, style or Style()))[:-HEIGHT]


def gray(value: int = 128, size: tuple[int, int] = (400, 400)) -> Image.Image:
    return Image.new("RGB", size, (value,) * 3)


def sides() -> np.ndarray:
    """Evidence for to the left, against to the right, nothing between."""
    heat = np.zeros((24, 24), np.float32)
    heat[:, :8], heat[:, 16:] = 1, -1
    return heat


def zeros() -> np.ndarray:
    return np.zeros((24, 24), np.float32)


def photo(width: int, height: int, noise: float, seed: int = 0) -> Image.Image:
    generator = np.random.default_rng(seed)
    light = generator.integers(0, 256, (9, 12, 1)) + generator.integers(-30, 30, (9, 12, 3))
    soft = Image.fromarray(light.clip(0, 255).astype(np.uint8)).resize((width, height))
    return Image.fromarray(
        (np.asarray(soft) + generator.normal(0, noise, (height, width, 3))).clip(0, 255).astype(np.uint8)
    )


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((8, 8), (384, 384)),
        ((100, 50), (384, 192)),
        ((300, 400), (384, 512)),
        ((4000, 2000), (512, 256)),
        ((3000, 200), (512, 34)),
        ((1, 1), (384, 384)),
        ((16, 3000), (MIN_WIDTH, 512)),
    ],
)
def test_the_picture_keeps_its_shape_and_has_a_size_to_look_at(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    content = overlay.overlay(gray(size=size), sides(), CAPTION, Style())
    assert Image.open(io.BytesIO(content)).size == (expected[0], expected[1] + HEIGHT)
    alone = overlay.heatmap(sides(), CAPTION, Style(), size)
    assert Image.open(io.BytesIO(alone)).size == (expected[0], expected[1] + HEIGHT)


def test_for_programs_it_has_the_pixels_of_the_networks_input_and_no_legend() -> None:
    heat = sides()[:12]
    for content in (
        overlay.overlay(gray(), heat, CAPTION, Style(resolution="model")),
        overlay.heatmap(heat, CAPTION, Style(resolution="model"), (640, 480)),
    ):
        assert opened(content).shape == (12, 24, 3)


@pytest.mark.parametrize("heat", [zeros(), np.full((24, 24), np.nan, np.float32)], ids=["zeros", "no numbers"])
def test_a_map_that_says_nothing_leaves_the_image_as_it_is_seen(heat: np.ndarray) -> None:
    image = photo(512, 384, 0)
    assert np.abs(drawn(image, heat) - np.asarray(image)).mean() < NEAR


def test_the_image_keeps_its_colors_where_there_is_no_evidence() -> None:
    image = Image.new("RGB", (400, 400), (30, 160, 60))
    heat = zeros()
    heat[:, :4] = 1
    assert np.abs(drawn(image, heat)[256, 400] - (30, 160, 60)).max() <= NEAR


@pytest.mark.parametrize("value", [0, 40, 128, 215, 255])
def test_evidence_for_is_red_and_against_is_blue_on_any_image(value: int) -> None:
    laid = drawn(gray(value), sides())
    left, middle, right = laid[256, 60], laid[256, 256], laid[256, 450]
    assert left[0] > left[[1, 2]].max() + 70
    assert right[2] > right[0] + 70
    assert np.ptp(middle) <= NEAR


@pytest.mark.parametrize("name", colormaps.NAMES)
def test_other_colors_are_warm_for_and_cold_against_too(name: str) -> None:
    laid = drawn(gray(), sides(), Style(colormap=name))
    assert laid[256, 60, 0] > laid[256, 60, 2] + 30
    assert laid[256, 450, 2] > laid[256, 450, 0] - 5
    assert np.abs(laid[256, 60] - laid[256, 450]).max() > 60


def test_positive_hides_what_speaks_against() -> None:
    style = Style(sign="positive")
    laid = drawn(gray(), sides(), style)
    assert laid[256, 60, 0] > laid[256, 60, 2] + 70
    assert np.abs(laid[256, 450] - 128).max() <= NEAR
    alone = opened(overlay.heatmap(sides(), CAPTION, style, (400, 400)))
    assert np.abs(alone[256, 450] - alone[256, 256]).max() == 0


def test_a_map_lies_where_the_picture_is() -> None:
    heat = zeros()
    heat[:8, :] = 1
    laid = drawn(gray(size=(400, 200)), heat)
    assert laid[10, 256, 0] > laid[10, 256, 2] + 60
    assert np.ptp(laid[250, 256]) <= NEAR


def test_cells_of_a_coarse_map_stay_cells() -> None:
    heat = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    alone = opened(overlay.heatmap(heat, CAPTION, Style(), (8, 8)))[:384]
    cells = alone.reshape(8, 48, 8, 48, 3)
    assert np.ptp(cells, axis=(1, 3)).max() == 0


def test_strength_is_relative_to_the_map_itself() -> None:
    heat = np.linspace(-1, 1, 24 * 24, dtype=np.float32).reshape(24, 24)
    assert np.abs(drawn(gray(), heat) - drawn(gray(), heat * 1024)).max() <= NEAR


@pytest.mark.parametrize("stray", [1e6, np.inf, np.nan], ids=str)
def test_scale_ignores_a_single_outlier_pixel(stray: float) -> None:
    heat = zeros()
    heat[:12] = 1
    calm = drawn(gray(), heat)
    heat[20, 20] = stray
    assert np.abs(calm[:100] - drawn(gray(), heat)[:100]).max() <= NEAR


def test_a_map_of_one_cell_alone_is_seen() -> None:
    heat = zeros()
    heat[3, 3] = 1e-30
    laid = drawn(gray(), heat)
    assert laid[75, 75, 0] > laid[75, 75, 2] + 70


def test_stronger_evidence_covers_more_of_the_picture() -> None:
    heat = zeros()
    heat[:, :8], heat[:, 8:16] = 1, 0.3
    strong, weak, none = (np.ptp(drawn(gray(), heat)[256, column]) for column in (85, 256, 470))
    assert strong > weak + 50 > none + 80


def test_less_alpha_shows_more_of_the_image_and_none_shows_it_alone() -> None:
    full, half, none = (drawn(gray(), sides(), Style(alpha=alpha))[256, 60] for alpha in (1.0, 0.4, 0.0))
    assert np.ptp(full) > np.ptp(half) + 30
    assert np.abs(none - 128).max() <= NEAR


def test_the_strongest_evidence_is_outlined_solid_for_and_dashed_against() -> None:
    laid = drawn(gray(), sides())
    light = (laid.min(axis=2) > 200).sum(axis=0)
    solid, dashed = light[100:256].max(), light[256:412].max()
    assert solid > 480
    assert 200 < dashed < 300


@pytest.mark.parametrize("label", ["", "猫", "\x00\n", "W" * 5000, "<script>", "e\u0301" * 40, "🐸"])
def test_any_label_draws(label: str) -> None:
    caption = replace(CAPTION, target=Class(1, label), against=Class(2, label))
    opened(overlay.overlay(gray(), sides(), caption, Style()))


@pytest.mark.parametrize(
    ("width", "height", "noise"), [(1024, 768, 12), (512, 512, 12), (512, 512, 60), (384, 512, 500)]
)
def test_the_file_is_small_whatever_the_image(width: int, height: int, noise: float) -> None:
    heat = np.random.default_rng(1).normal(size=(224, 224)).astype(np.float32)
    for content in (
        overlay.overlay(photo(width, height, noise), heat, CAPTION, Style()),
        overlay.heatmap(heat, CAPTION, Style(), (width, height)),
    ):
        assert len(content) <= MAX_BYTES
        assert Image.open(io.BytesIO(content)).size[0] >= MIN_WIDTH


def test_a_photo_of_some_noise_keeps_its_full_side() -> None:
    assert drawn(photo(1024, 768, 6), sides()).shape == (384, VIEW_SIDE, 3)


def test_the_same_is_drawn_the_same() -> None:
    first, second = (overlay.overlay(photo(90, 70, 9), sides(), CAPTION, Style()) for _ in range(2))
    assert first == second


def test_the_images_own_pixels_are_left_alone() -> None:
    image, heat = photo(512, 512, 9), sides()
    before = image.tobytes(), heat.tobytes()
    overlay.overlay(image, heat, CAPTION, Style())
    assert (image.tobytes(), heat.tobytes()) == before
