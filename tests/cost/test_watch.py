import warnings

import pytest
import torch

from telos.cost import Calibrated, Disc, Trial, Watch, calibrate, keep_out
from telos.errors import DriftWarning
from tests.cost.toy import place

torch.set_num_threads(1)
ZONE = keep_out(place, Disc((0, 0), 1))


def line(*xs):
    """States of one problem on a line, one future: [1, 1, n + 1, D]."""
    return torch.tensor([[x, 0.0] for x in xs])[None, None]


def test_what_was_predicted_of_a_step_stands_beside_what_was_perceived_of_it():
    watch = Watch()
    watch.see([ZONE], line(5.0)[0, 0])
    watch.expect([ZONE], [0], line(5.0, 4.0, 3.0), torch.tensor([False]), 1)
    assert watch.see([ZONE], line(4.5)[0, 0]) == []
    assert watch.see([ZONE], line(3.0)[0, 0]) == []
    watch.see([ZONE], line(2.0)[0, 0])
    predicted, observed = watch.told(ZONE)
    assert predicted[:, 0].tolist() == [-3, -2, torch.inf]
    assert observed[:, 0].tolist() == [-3.5, -2, -1]


def test_a_plan_is_dangerous_when_its_error_would_grow_into_the_zone():
    for seen, dangerous in ((4.0, []), (3.7, []), (3.2, [0])):
        watch = Watch()
        watch.see([ZONE], line(5.0)[0, 0])
        watch.expect([ZONE], [0], line(5.0, 4.0, 3.0, 2.5), torch.tensor([False]), 1)
        assert watch.see([ZONE], line(seen)[0, 0]) == dangerous


def test_while_the_safe_action_is_done_nothing_was_predicted():
    watch = Watch()
    watch.see([ZONE], line(5.0)[0, 0])
    watch.expect([ZONE], [0], line(5.0, 4.0), torch.tensor([True]), 1)
    assert watch.see([ZONE], line(1.1)[0, 0]) == []
    assert watch.told(ZONE)[0].tolist() == [[torch.inf]]


def test_it_knows_only_what_is_held():
    with pytest.raises(ValueError, match="one that the agent holds"):
        Watch().told(ZONE)


def test_plans_of_some_problems_leave_those_of_the_others_in_force():
    watch, both = Watch(), torch.tensor([[5.0, 0], [8, 0]])
    watch.see([ZONE], both)
    steps = torch.stack([line(5.0, 4.0, 3.0)[0], line(8.0, 7.0, 6.0)[0]])
    watch.expect([ZONE], [0, 1], steps, torch.tensor([False, False]), 2)
    watch.see([ZONE], both)
    watch.expect([ZONE], [1], line(8.0, 7.5), torch.tensor([False]), 2)
    watch.see([ZONE], both)
    assert watch.told(ZONE)[0].tolist() == [[-3, -6], [-2, -6.5]]


def rail(calibration, x=0.0):
    return Calibrated(keep_out(place, Disc((x, 0), 1)), calibration)


def test_guardrails_of_one_calibration_are_one_test_whichever_task_holds_them():
    trials = [Trial(torch.zeros(3), torch.zeros(3), torch.zeros(3))] * 40
    calibration = calibrate(ZONE, trials, alpha=0.1).calibration
    watch = Watch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DriftWarning)
        for number in range(5):  # each episode leaves the band, each with a zone of its own
            zone = rail(calibration, 0.1 * number)
            watch.begin()
            watch.see([zone], line(5.0)[0, 0])
            watch.expect([zone], [0], line(5.0, 4.9, 4.8), torch.tensor([False]), 1)
            watch.see([zone], line(2.0)[0, 0])
    (drift,) = watch.drifts
    assert drift.left == drift.episodes <= 5
