"""Five hundred bad requests of all families among good ones, in the same batches: only the bad ones feel it.

`python -m benchmarks.bad_inputs` is the long version, and watches memory too: docs/reliability.md has its figures.
"""

from __future__ import annotations

from tests.fuzz.corpus import FAMILIES, bad_requests
from tests.fuzz.under_load import GOOD, Siege, good_requests
from tests.integration.server import Server

COUNT = 500
# Of all, the one whose first 500 hold most of what the first long runs found: queries of 8 kB, a charset of a form that
# does not exist, arrays with negative sides, many scans, 50,000 parts of one name.
SEED = 494


def test_bad_requests_are_refused_and_hurt_nobody(server: Server, digit: dict[str, bytes]) -> None:
    workers = server.all_workers()
    siege = Siege(("127.0.0.1", server.ports.public), good_requests(digit), clients=32)
    outcome = siege.lay(bad_requests(COUNT, SEED), seconds=60)
    assert [str(offence) for offence in outcome.offences] == []
    assert server.all_workers() == workers
    assert {family for family, _ in outcome.statuses} == {GOOD, *(family.__name__ for family in FAMILIES)}
    assert outcome.statuses.total() == COUNT + COUNT // 3
