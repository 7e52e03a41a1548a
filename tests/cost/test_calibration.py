import json
import math

import numpy as np
import pytest
import torch

from telos.cost import (
    Box,
    Calibrated,
    Calibration,
    Disc,
    Trial,
    calibrate,
    keep_out,
    score_of,
    settle,
)
from telos.errors import CalibrationWarning
from tests.cost.toy import place, rollout

torch.set_num_threads(1)
ZONE = keep_out(place, Disc((0, 0), 1), buffer=0.5)


def trial(*true, predicted=None):
    true = torch.tensor(true)
    return Trial(torch.full_like(true, -0.5) if predicted is None else torch.tensor(predicted), true)


def episodes(random, n, *, shift=0.0, buffer=0.5):
    """Episodes of five steps that plans bring to the buffer; errors hang together within an episode."""
    errors = random.normal(size=(n, 1)) * 0.2 + random.normal(size=(n, 5)) * 0.1 + shift
    predicted = np.full((n, 5), -buffer)
    return [Trial(*map(torch.from_numpy, rows)) for rows in zip(predicted, predicted + errors, strict=True)]


def test_a_score_is_the_worst_step_of_what_came_minus_what_was_promised():
    episode = trial(-3.0, 0.25, -2.0, predicted=[-3.5, -1.0, -1.0])
    assert score_of(episode, buffer=0.5) == 1.25
    assert score_of(episode, buffer=0.5, counts="violations") == 0.75


@pytest.mark.parametrize("counts", ["errors", "violations"])
def test_an_episode_that_violates_scores_more_than_the_buffer_whatever_was_predicted(counts):
    for predicted in (-9.0, -0.5, 0.2, math.inf):
        assert score_of(trial(0.01, predicted=[predicted]), buffer=0.5, counts=counts) > 0.5


def test_readings_and_marks_become_violations():
    read = Trial.of_readings(ZONE, np.array([[2.0, 0]]), np.array([[0.5, 0]]))
    assert (read.predicted.tolist(), read.true.tolist()) == ([-1], [0.5])
    marked = Trial.of_marks(torch.tensor([-0.3, -2.0]), np.array([True, False]))
    assert score_of(marked, buffer=0.0) == pytest.approx(0.3)


@pytest.mark.parametrize("counts", ["errors", "violations"])
@pytest.mark.parametrize("predicted", [-2.0, 0.1, math.inf])
def test_a_marked_step_counts_as_a_violation_whatever_was_predicted(predicted, counts):
    for mark in (True, False):
        episode = Trial.of_marks(torch.tensor([predicted]), np.array([mark]))
        assert (score_of(episode, buffer=1.5, counts=counts) > 1.5) == mark


def test_the_buffer_is_the_score_of_the_conformal_rank():
    random = np.random.default_rng(0)
    some = episodes(random, 99, shift=0.5)
    with pytest.warns(CalibrationWarning, match="calibrate again"):
        found = calibrate(ZONE, some, alpha=0.1)
    assert found.buffer == sorted(score_of(each, buffer=0.5) for each in some)[89]
    assert not found.calibration.holds


def test_it_holds_as_it_is_where_the_scores_do_not_ask_for_more():
    found = calibrate(ZONE, [trial(-0.8)] * 60, alpha=0.05, confidence=0.95)
    assert found.buffer == 0.5
    assert found.calibration.holds


def test_marginal_coverage_is_alpha_on_average_over_calibrations():
    random, rates = np.random.default_rng(1), []
    for _ in range(200):
        found = calibrate(ZONE.with_buffer(5.0), episodes(random, 49, buffer=5.0), alpha=0.1)
        bound = found.calibration.quantile
        later = [score_of(each, buffer=0.5) for each in episodes(random, 50)]
        rates.append(np.mean(np.array(later) > bound))
    assert 0.08 < np.mean(rates) < 0.12
    assert np.mean(np.array(rates) > 0.1) > 0.25  # and many a single calibration has more


def test_with_confidence_few_calibrations_have_a_rate_above_alpha():
    random, above = np.random.default_rng(2), 0
    later = np.array([score_of(each, buffer=0.5) for each in episodes(random, 4000)])
    for _ in range(150):
        with_buffer = ZONE.with_buffer(5.0)
        bound = calibrate(with_buffer, episodes(random, 60, buffer=5.0), alpha=0.1, confidence=0.9)
        above += np.mean(later > bound.calibration.quantile) > 0.1
    assert above / 150 < 0.15


def test_rounds_of_new_episodes_find_a_buffer_that_holds_where_plans_move_with_it():
    random = np.random.default_rng(3)

    def run(buffer, n):  # the nearer plans may come, the more they find errors: 1.5 at 0, 0.5 far away
        errors = random.normal(size=n) * 0.3 + 0.5 + math.exp(-buffer)
        return [trial(error - buffer, predicted=[-buffer]) for error in errors]

    bad, rounds = 0, []
    for _ in range(40):
        found = settle(keep_out(place, Disc((0, 0), 1)), lambda b, _: run(b, 150), alpha=0.1, confidence=0.9)
        assert found.calibration.holds
        rounds.append(found.calibration.on["rounds"])
        bad += np.mean([each.true.max() > 0 for each in run(found.buffer, 3000)]) > 0.1
    assert bad <= 8
    assert min(rounds) > 1


def test_where_no_buffer_is_enough_it_says_so():
    with pytest.warns(CalibrationWarning, match="no buffer was enough in 2 rounds"):
        found = settle(ZONE, lambda *_: [trial(1.0)] * 60, alpha=0.1, rounds=2)
    assert not found.calibration.holds


def test_too_few_episodes_say_how_many_it_takes():
    with pytest.raises(ValueError, match=r"at least 19 for alpha 0.05; got 18"):
        calibrate(ZONE, [trial(-1.0)] * 18, alpha=0.05)
    with pytest.raises(ValueError, match=r"at least 299 for alpha 0.01 and confidence 0.95"):
        calibrate(ZONE, [trial(-1.0)] * 100, alpha=0.01, confidence=0.95)


def test_a_calibration_comes_back_from_json_with_what_it_was_calibrated_on():
    some = [trial(-0.8 + 0.001 * number) for number in range(60)]
    found = calibrate(ZONE, some, alpha=0.05, on={"world": "toy", "configurator": {"horizon": 8}}).calibration
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert (found.n, found.steps, found.scores["max"]) == (60, 1, pytest.approx(-0.241, abs=1e-6))


def test_one_without_dangerous_steps_comes_back_too():
    quiet = Trial.of_marks(torch.zeros(3), torch.zeros(3, dtype=torch.bool))
    found = calibrate(ZONE, [quiet] * 20, alpha=0.1).calibration
    assert Calibration.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found
    assert found.buffer == 0.5


def test_a_calibrated_guardrail_is_a_guardrail_whose_buffer_only_grows():
    inner = keep_out(place, Box(torch.zeros(3, 2), torch.ones(3, 2)), buffer=0.5)
    found = Calibrated(inner, calibrate(ZONE, [trial(-0.8)] * 20, alpha=0.1).calibration)
    trajectory = rollout(torch.zeros(3, 4), torch.ones(3, 5, 4, 2))
    assert torch.equal(found(trajectory), inner(trajectory))
    assert (found.scale, found.select(torch.tensor([1])).buffer, found.with_buffer(2.0).buffer) == (1, 0.5, 2)
    with pytest.raises(ValueError, match="can only grow"):
        found.with_buffer(0.4)


def test_numbers_that_are_not_are_refused():
    with pytest.raises(ValueError, match="no NaN"):
        trial(float("nan"))
    with pytest.raises(ValueError, match="counts must be one of"):
        calibrate(ZONE, [trial(-1.0)] * 60, alpha=0.1, counts="error")


def test_what_is_minus_infinite_as_predicted_scores_nothing():
    certain = Trial(torch.tensor([-math.inf, -math.inf]), torch.tensor([-math.inf, -math.inf]))
    assert score_of(certain, buffer=0.0) == -math.inf


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"alpha": 0.0}, {"confidence": 1.0}])
def test_settling_refuses_wrong_arguments_before_an_episode_is_run(wrong):
    def never(buffer, number):
        raise AssertionError

    with pytest.raises(ValueError, match="must be"):
        settle(keep_out(place, Disc((0, 0), 1)), never, **{"alpha": 0.1, **wrong})
