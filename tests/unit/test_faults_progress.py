"""Recovery: from a fault until all that waited then is through, whatever markers lie at the end."""

from headrace.faults.progress import Sample, lag_max, recovery_s
from headrace.up.lag import LaneGroup

LANE = LaneGroup("lane", {"t": 2})
OTHER = LaneGroup("other", {"t": 2})


def sample(at_s: float, ends: tuple[int, int], lane: tuple[int, int], other: int = 0) -> Sample:
    return Sample(
        at_s,
        {("t", 0): ends[0], ("t", 1): ends[1]},
        {
            "lane": {("t", 0): lane[0], ("t", 1): lane[1]},
            "other": {("t", 0): other, ("t", 1): other},
        },
    )


SAMPLES = [
    sample(0.0, (10, 10), (10, 10), 10),
    sample(1.0, (20, 20), (20, 12), 20),
    sample(2.0, (30, 30), (30, 12), 30),
    sample(3.0, (40, 40), (40, 19), 40),
    sample(4.0, (50, 50), (50, 35), 50),
    sample(5.0, (50, 51), (50, 50), 50),
]


def test_a_lane_has_recovered_when_what_waited_is_through() -> None:
    assert recovery_s(SAMPLES, [LANE], from_s=1.0) == 3.0


def test_a_lane_that_never_stopped_has_recovered_at_once() -> None:
    assert recovery_s(SAMPLES, [OTHER], from_s=1.0) == 0.0


def test_the_slowest_of_several_lanes_counts() -> None:
    assert recovery_s(SAMPLES, [OTHER, LANE], from_s=1.0) == 3.0


def test_a_marker_at_the_end_of_the_log_is_waited_for_by_nobody() -> None:
    assert recovery_s(SAMPLES, [LANE], from_s=5.0) == 0.0


def test_a_lane_that_went_no_further_has_no_recovery_but_for_what_it_reached() -> None:
    assert recovery_s(SAMPLES, [LANE], from_s=6.0) is None


def test_lag_is_the_most_of_any_lane_within_the_time() -> None:
    assert lag_max(SAMPLES, [LANE, OTHER], from_s=1.0, until_s=4.0) == 21
    assert lag_max(SAMPLES, [LANE], from_s=4.5, until_s=5.0) == 1
    assert lag_max(SAMPLES, [OTHER], from_s=0.0, until_s=4.0) == 0
