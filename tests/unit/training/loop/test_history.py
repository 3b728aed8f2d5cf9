from __future__ import annotations

import json

from training.loop.history import Epoch


def test_an_epoch_survives_being_written() -> None:
    epoch = Epoch(2, 0.1, 0.9, 1 / 3, 0.8, 1e-05, 1234.5, 6.7)
    assert Epoch(**json.loads(json.dumps(epoch.as_dict()))) == epoch
