"""Fuzz under load: 500 bad requests of all families and good requests share batches. The good ones are not affected.

`python -m benchmarks.bad_inputs` is the long version, which also measures memory. Its figures are in
docs/benchmarks/bad-inputs.md.
"""

from __future__ import annotations

from tests.fuzz.corpus import FAMILIES, bad_requests
from tests.fuzz.under_load import GOOD, FuzzUnderLoad, good_requests
from tests.support.server import Server

COUNT = 500
# The seed whose first 500 requests repeat the most errors of early long runs: queries of 8 kB, an unknown charset of a
# form, arrays with negative sides, many scans, 50,000 parts of the same name.
SEED = 494


def test_bad_requests_are_refused_and_good_ones_are_not_affected(server: Server, digit: dict[str, bytes]) -> None:
    workers = server.all_workers()
    load = FuzzUnderLoad(("127.0.0.1", server.ports.public), good_requests(digit), clients=32)
    outcome = load.run(bad_requests(COUNT, SEED), seconds=60)
    assert [str(violation) for violation in outcome.violations] == []
    assert server.all_workers() == workers
    assert {family for family, _ in outcome.statuses} == {GOOD, *(family.__name__ for family in FAMILIES)}
    assert outcome.statuses.total() == COUNT + COUNT // 3
