import numpy as np
import pytest

from telos.cost import DriftTest


def alarm(random, rates, *, rate=0.1):
    """After how many episodes with these rates of leaving it says drift; None where it never does."""
    test = DriftTest(rate)
    for number, each in enumerate(rates):
        test.update(bool(random.random() < each))
        if test.drifted:
            return number + 1
    return None


def test_it_does_not_cry_wolf():
    random = np.random.default_rng(0)
    alarms = [alarm(random, [0.1] * 1000) for _ in range(400)]
    assert sum(found is not None for found in alarms) <= 4 + 3 * 2  # level 0.01, and three deviations


@pytest.mark.parametrize(("after", "within"), [(0.9, 5), (0.5, 12), (0.3, 60)])
def test_a_shift_is_found_soon(after, within):
    random = np.random.default_rng(1)
    alarms = [alarm(random, [after] * 500) for _ in range(50)]
    assert None not in alarms
    assert np.median(alarms) <= within


def test_a_shift_that_comes_after_a_thousand_quiet_episodes_is_found_soon_too():
    random = np.random.default_rng(2)
    alarms = [alarm(random, [0.0] * 1000 + [0.7] * 60) for _ in range(20)]
    assert None not in alarms
    assert np.median(alarms) <= 1000 + 20


def test_what_is_won_is_one_on_average_where_nothing_changed():
    random, wealth = np.random.default_rng(3), []
    for _ in range(4000):
        test = DriftTest(0.2)
        for _ in range(6):
            test.update(bool(random.random() < 0.2))
        wealth.append(test.wealth)
    assert np.mean(wealth) == pytest.approx(1.0, abs=0.05)


def test_rates_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="above 0 and below 1"):
        DriftTest(0.0)


@pytest.mark.parametrize("together", [8, 64])
def test_it_does_not_cry_wolf_when_episodes_run_together_and_those_that_leave_are_known_first(together):
    random, alarms = np.random.default_rng(4), 0
    for _ in range(300):
        test = DriftTest(0.1)
        for _ in range(64 // together):
            left = random.random(together) < 0.1
            numbers = [test.begin() for _ in range(together)]
            for number in [*np.array(numbers)[left], *np.array(numbers)[~left]]:
                test.end(int(number), bool(left[number - numbers[0]]))
        alarms += test.drifted
    assert alarms <= 3 + 3 * 2  # level 0.01, and three deviations


def test_what_is_won_does_not_depend_on_who_is_known_first():
    one, other = DriftTest(0.1), DriftTest(0.1)
    for left in (True, False, True, False):
        one.update(left)
    for _ in range(4):
        other.begin()
    for number, left in ((2, True), (0, True), (3, False), (1, False)):
        other.end(number, left)
    assert other.wealth == pytest.approx(one.wealth)
    assert (other.episodes, other.left) == (one.episodes, one.left) == (4, 2)


def test_many_that_leave_are_an_alarm_although_others_go_on():
    test = DriftTest(0.1)
    numbers = [test.begin() for _ in range(16)]
    for number in numbers[8:]:
        test.end(number, True)
    assert test.drifted


def test_an_alarm_stays():
    test = DriftTest(0.1)
    for _ in range(5):
        test.update(True)
    assert test.drifted
    for _ in range(500):
        test.update(False)
    assert test.drifted
