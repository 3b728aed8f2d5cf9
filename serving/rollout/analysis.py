"""Sequential tests of rates. They may be looked at after every response, as often as you like.

Each test gives an e-value: the factor by which a bet against its null hypothesis has grown. If the hypothesis holds,
the e-value ever reaches 1/alpha with probability at most alpha, over all looks together (Ville's inequality; Ramdas,
Grünwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference", 2210.01948).

All tests are one: bad events are Bernoulli trials, and the hypothesis bounds their probability `q` by `limit`. The bet
is a mixture over the other values of `q`: a Beta distribution with mean `limit`, cut at `limit` (the method of
mixtures; Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon 2021, 1810.08240). Hence the e-value has a closed form.

- One version: the trials are its responses, and `limit` is a rate.
- Two versions: the trials are the bad responses of both, and a trial counts if it is the candidate's. The proxy assigns
  requests at random with a share. With equal rates a bad response is the candidate's with probability `share`, however
  common bad responses are. So a load that makes both versions slow is no evidence against the candidate.

docs/explanation/rollouts.md has the figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincc, betaln

# Weight of the prior in trials: the one with the smallest worst ratio to the sample sizes of a fixed-horizon test
# (docs/explanation/rollouts.md).
PRIOR_STRENGTH = 10.0
# Probability that a candidate passes a test although its rate is at the limit.
PASS_ALPHA = 0.05
# Evidence is written with at most this e-value, since JSON has no infinity.
MAX_E_VALUE = 1e12


@dataclass(frozen=True, slots=True)
class BadResponses:
    """Bad responses of both versions in a period with a constant share.

    Attributes:
        share: probability that the proxy assigned a request to the candidate.
    """

    share: float
    stable: int
    candidate: int


def log_e_above(bad: ArrayLike, good: ArrayLike, limit: float, strength: float = PRIOR_STRENGTH) -> NDArray[np.float64]:
    """Return the logarithm of the e-value against `q <= limit`: large if bad trials are more frequent.

    Args:
        bad: number of bad trials so far.
        good: number of other trials so far, in the same shape.
        limit: a probability, above 0 and below 1.
        strength: weight of the prior in trials.
    """
    return _log_e(bad, good, limit, strength, betaincc)


def log_e_below(bad: ArrayLike, good: ArrayLike, limit: float, strength: float = PRIOR_STRENGTH) -> NDArray[np.float64]:
    """Return the logarithm of the e-value against `q >= limit`: large if bad trials are less frequent.

    Args:
        bad: number of bad trials so far.
        good: number of other trials so far, in the same shape.
        limit: a probability, above 0 and below 1.
        strength: weight of the prior in trials.
    """
    return _log_e(bad, good, limit, strength, betainc)


def log_e_worse(periods: Sequence[BadResponses]) -> float:
    """Return the logarithm of the e-value against "the candidate's rate is at most the stable version's".

    E-values of periods with other shares are multiplied. Periods in which one version got no request count nothing.
    """
    return sum(
        (float(log_e_above(period.candidate, period.stable, period.share)) for period in _compared(periods)), 0.0
    )


def log_e_not_inferior(periods: Sequence[BadResponses], margin: float) -> float:
    """Return the logarithm of the e-value against "the candidate's rate is at least `margin` times the stable's"."""
    return sum(
        (
            float(log_e_below(period.candidate, period.stable, share_of_bad(period.share, margin)))
            for period in _compared(periods)
        ),
        0.0,
    )


def share_of_bad(share: float, ratio: float) -> float:
    """Return the probability that a bad response is the candidate's, if its rate is `ratio` times the stable's."""
    return share * ratio / (share * ratio + 1 - share)


def e_value(log_e: float) -> float:
    """Return an e-value for messages and evidence: three significant digits, at most MAX_E_VALUE."""
    return float(f"{math.exp(min(log_e, math.log(MAX_E_VALUE))):.3g}")


def reaches(log_e: float, alpha: float) -> bool:
    """Return True if the e-value rejects its hypothesis at level `alpha`."""
    return log_e >= -math.log(alpha)


def _compared(periods: Sequence[BadResponses]) -> list[BadResponses]:
    return [period for period in periods if 0 < period.share < 1]


def _log_e(bad: ArrayLike, good: ArrayLike, limit: float, strength: float, tail: Any) -> NDArray[np.float64]:
    """Return the logarithm of the mixture's likelihood ratio. `tail` is the Beta distribution beyond the limit."""
    bad, good = np.asarray(bad, dtype=float), np.asarray(good, dtype=float)
    prior = strength * limit, strength * (1 - limit)
    posterior = bad + prior[0], good + prior[1]
    with np.errstate(divide="ignore"):  # no mass beyond the limit: the e-value is 0
        mass = np.log(tail(*posterior, limit)) - np.log(tail(*prior, limit))
    log_e: NDArray[np.float64] = (
        betaln(*posterior) - betaln(*prior) + mass - bad * math.log(limit) - good * math.log1p(-limit)
    )
    return log_e
