"""Pieces of photos."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_sample_images

from training.data.builtin import patches


def test_pieces_are_of_both_photos_in_three_sizes_and_always_alike() -> None:
    pieces = list(patches.pieces(12))
    assert [piece.shape for piece in pieces] == [(side, side, 3) for side in (64, 64, 128, 128, 256, 256)] * 2
    assert len({piece.tobytes() for piece in pieces}) == 12
    again, other = list(patches.pieces(12)), list(patches.pieces(12, seed=1))
    assert all(np.array_equal(one, two) for one, two in zip(pieces, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(pieces, other, strict=True))


def test_piece_is_a_part_of_its_photo() -> None:
    (piece,) = patches.pieces(1)
    photo = min(zip(*[load_sample_images()[key] for key in ("filenames", "images")], strict=True))[1]
    assert any(
        np.array_equal(photo[top : top + 64, left : left + 64], piece)
        for top, left in np.argwhere((photo[:-63, :-63] == piece[0, 0]).all(axis=2))
    )
