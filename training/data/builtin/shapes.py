"""`shapes`: 3,600 drawn images of six objects on cluttered backgrounds, each with a mask of its object.

The data set tests explanations: the evidence for the class is on the object, so evidence elsewhere is wrong. In
`shapes-spurious` the same images have a mark in a corner. Its color gives the class away in nearly all images, so
networks learn the mark instead. The images are drawn by this code, always the same, without a download.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from training.data.arrays import Arrays
from training.data.dataset import Dataset, Split
from training.data.split import SPLIT_SEED, complete

NAME, SPURIOUS = "shapes", "shapes-spurious"
CLASSES = ("cross", "disc", "ring", "square", "star", "triangle")
COUNT, SIDE = 3_600, 32
SEED = 6
# Edges are drawn at this many times the size, then averaged.
FINER = 4
# An object's color differs from the background's by at least this much in one channel, of 255.
CONTRAST = 90
# The mark: its side, its distance from the edges, and the share of images where its color gives the class away.
MARK, MARGIN, TELLING = 5, 1, 0.95
MARKS = ((230, 30, 30), (30, 200, 30), (40, 70, 240), (240, 220, 20), (230, 40, 230), (20, 220, 230))

Points = list[tuple[float, float]]


def load(seed: int = SPLIT_SEED) -> Dataset:
    """Return the data set, split 60 : 20 : 20 with each class in proportion, with masks of the objects."""
    return _dataset(NAME, seed)


def load_spurious(seed: int = SPLIT_SEED) -> Dataset:
    """Return the same images in the same splits, each with a mark in the upper left corner, outside its mask."""
    return _dataset(SPURIOUS, seed)


def draw(count: int, seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images uint8 (count, side, side, 3), labels int64 (count,) into CLASSES, and masks bool (count, side, side).

    A mask is true where the object has any part in a pixel's color. The hole of a ring belongs to it: by that it is
    told from a disc.
    """
    random = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    drawn = [_image(CLASSES[label], random, side) for label in labels]
    return np.stack([pixels for pixels, _ in drawn]), labels, np.stack([mask for _, mask in drawn])


def mark(pixels: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """Paint the mark of each image into its upper left corner: of its class, or else of any class."""
    random = np.random.default_rng(seed)
    is_telling = random.random(len(labels)) < TELLING
    random_labels = random.integers(len(CLASSES), size=len(labels))
    colors = np.array(MARKS, dtype=np.uint8)[np.where(is_telling, labels, random_labels)]
    pixels[:, MARGIN : MARGIN + MARK, MARGIN : MARGIN + MARK] = colors[:, None, None]


def _dataset(name: str, seed: int) -> Dataset:
    pixels, labels, masks = draw(COUNT, SEED)
    if name == SPURIOUS:
        mark(pixels, labels, SEED)
        masks[:, MARGIN : MARGIN + MARK, MARGIN : MARGIN + MARK] = False
    splits = complete({"train": list(range(COUNT))}, labels.__getitem__, seed)

    def split(rows: Sequence[int]) -> Split:
        names = [f"{name} {row} ({CLASSES[labels[row]]})" for row in rows]
        return Split(Arrays(pixels[rows]), labels[rows].tolist(), names, list(masks[rows]))

    return Dataset(
        name=name,
        source="drawn by training/data/builtin/shapes.py",
        license="Apache-2.0",
        classes=CLASSES,
        train=split(splits["train"]),
        calibration=split(splits["calibration"]),
        test=split(splits["test"]),
        sha256=hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
    )


def _image(name: str, random: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image, float colors rounded to uint8 (side, side, 3), and the mask of its object."""
    canvas = _background(random, side)
    for _ in range(int(random.integers(2, 6))):
        canvas = _laid(canvas, _fragment(random, side), random.uniform(0, 255, 3))
    radius = side * random.uniform(0.24, 0.38)
    center = random.uniform(radius, side - radius, 2)
    outline = _drawn(side, [(center + radius * point).tolist() for point in _outline(name, random)])
    hole = _drawn(side, [(center + 0.5 * radius * point).tolist() for point in _circle()]) if name == "ring" else 0.0
    behind = canvas[outline > 0.5].mean(axis=0)
    canvas = _laid(canvas, outline - hole, _contrasting(behind, random))
    canvas += random.normal(0, random.uniform(1, 5), canvas.shape)
    return canvas.round().clip(0, 255).astype(np.uint8), outline > 0


def _background(random: np.random.Generator, side: int) -> np.ndarray:
    """Draw a gradient of two colors with blotches: float (side, side, 3)."""
    first, second = random.uniform(0, 255, (2, 3))
    angle = random.uniform(0, 2 * pi)
    rows, columns = np.mgrid[0:side, 0:side] / (side - 1) - 0.5
    share = (0.5 + 0.7 * (rows * sin(angle) + columns * cos(angle)))[..., None]
    blotches = [
        Image.fromarray(random.normal(0, random.uniform(5, 30), (5, 5)).astype(np.float32)).resize(
            (side, side), Image.Resampling.BICUBIC
        )
        for _ in range(3)
    ]
    mixed: np.ndarray = (
        first * (1 - share) + second * share + np.stack([np.asarray(blotch) for blotch in blotches], axis=-1)
    )
    return mixed


def _fragment(random: np.random.Generator, side: int) -> np.ndarray:
    """Return the coverage of a distractor, (side, side): a line through the image, or a small triangle."""
    if random.random() < 0.5:
        return _drawn(side, random.uniform(0, side, (2, 2)).tolist(), width=random.uniform(0.5, 1.5))
    center, reach = random.uniform(0, side, 2), side * 0.12
    return _drawn(side, (center + random.uniform(-reach, reach, (3, 2))).tolist())


def _outline(name: str, random: np.random.Generator) -> np.ndarray:
    """Return the corners (K, 2) of an object around 0, within a circle of radius 1, turned at random."""
    angle = random.uniform(0, 2 * pi)
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    turned: np.ndarray = _corners(name) @ turn
    return turned


def _corners(name: str) -> np.ndarray:
    match name:
        case "cross":
            arm, end = 0.3, 0.95
            quarter = np.array([(arm, end), (arm, arm), (end, arm)])
            return np.concatenate([quarter @ np.array(turn) for turn in QUARTERS])
        case "square":
            return _polygon(4)
        case "star":
            return np.stack([_polygon(5), 0.42 * _polygon(5, half=True)], axis=1).reshape(-1, 2)
        case "triangle":
            return _polygon(3)
    return _circle()


# Clockwise, as the corners of a quarter of the cross are listed.
QUARTERS = ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]])


def _polygon(corners: int, half: bool = False) -> np.ndarray:
    angles = (np.arange(corners) + 0.5 * half) * (2 * pi / corners)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _circle() -> np.ndarray:
    return _polygon(48)


def _drawn(side: int, points: Sequence[Sequence[float]], width: float | None = None) -> np.ndarray:
    """Return the share of each pixel (side, side) that a polygon covers, or a line of some width in pixels."""
    canvas = Image.new("L", (side * FINER, side * FINER))
    corners = [(x * FINER, y * FINER) for x, y in points]
    if width is None:
        ImageDraw.Draw(canvas).polygon(corners, fill=255)
    else:
        ImageDraw.Draw(canvas).line(corners, fill=255, width=round(width * FINER))
    return np.asarray(canvas.reduce(FINER), dtype=np.float64) / 255


def _laid(canvas: np.ndarray, cover: np.ndarray, color: np.ndarray) -> np.ndarray:
    laid: np.ndarray = canvas + cover[..., None] * (color - canvas)
    return laid


def _contrasting(behind: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a random color that is visible on the color `behind`."""
    while True:
        color: np.ndarray = random.uniform(0, 255, 3)
        if np.abs(color - behind).max() >= CONTRAST:
            return color
