from fractions import Fraction
from itertools import permutations
from math import comb

import numpy as np
import pytest

from telos.cost import binomial_cdf, conformal_rank, episodes_needed


@pytest.mark.parametrize("alpha", [0.15, 0.2, 0.34, 0.5])
def test_the_marginal_rank_is_that_of_all_orders_of_exchangeable_scores(alpha):
    n = 6
    orders = np.array(list(permutations(range(n + 1))))
    bounds = np.sort(orders[:, :-1], axis=1)
    rates = (orders[:, -1:] > bounds).mean(axis=0)  # by rank: how often the last one exceeds it
    enough = [rank for rank in range(1, n + 1) if rates[rank - 1] <= alpha]
    assert conformal_rank(n, alpha) == enough[0]


@pytest.mark.parametrize(("n", "alpha", "confidence"), [(40, 0.2, 0.9), (100, 0.05, 0.95), (60, 0.1, 0.99)])
def test_the_sure_rank_is_the_first_whose_coverage_is_enough_in_exact_arithmetic(n, alpha, confidence):
    rate = Fraction(str(alpha))

    def surely(rank):  # P(coverage of the rank-th of n uniform scores >= 1 - alpha)
        above = range(n - rank + 1)
        return 1 - sum(comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in above)

    enough = [rank for rank in range(1, n + 1) if surely(rank) >= Fraction(str(confidence))]
    assert conformal_rank(n, alpha, confidence) == enough[0]


@pytest.mark.parametrize("confidence", [None, 0.9, 0.95])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.2])
def test_what_is_needed_is_the_smallest_number_that_has_a_rank(alpha, confidence):
    n = episodes_needed(alpha, confidence)
    assert conformal_rank(n, alpha, confidence) == n
    assert conformal_rank(n - 1, alpha, confidence) is None


def test_what_is_needed_is_enough_where_the_confidence_is_met_exactly():
    assert (episodes_needed(0.5, 0.875), conformal_rank(3, 0.5, 0.875)) == (3, 3)


def test_the_binomial_tail_is_that_of_counted_outcomes():
    exact = sum(comb(12, k) * Fraction(3, 10) ** k * Fraction(7, 10) ** (12 - k) for k in range(4))
    assert binomial_cdf(3, 12, 0.3) == pytest.approx(float(exact))
    assert (binomial_cdf(-1, 12, 0.3), binomial_cdf(12, 12, 0.3)) == (0, 1)


@pytest.mark.parametrize(("alpha", "confidence"), [(0.0, None), (1.0, None), (0.1, 1.0)])
def test_shares_outside_their_range_are_refused(alpha, confidence):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        conformal_rank(10, alpha, confidence)
