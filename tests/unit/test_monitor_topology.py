"""The monitor's graph over a simulated market, in process."""

from agents.monitor.watch import FEATURES
from headrace.testing import TestDriver
from topologies.monitor import TOPOLOGY

FEED = "sim:1?events=3000&seed=7&start=1700000000000000000"


def test_every_second_of_a_stream_has_one_score() -> None:
    driver = TestDriver(TOPOLOGY, keep=["feature.vector.v1", "monitor.anomaly.v1"])

    driver.feed(FEED)

    vectors = driver.read("feature.vector.v1").to_pandas()
    scores = driver.read("monitor.anomaly.v1").to_pandas()
    finite = vectors[vectors[list(FEATURES)].notna().all(axis=1)]
    seconds = finite.assign(second=finite.receive_time_ns // 10**9)
    firsts = seconds.groupby(["instrument", "source", "second"]).sequence.min()
    assert len(scores) > 10
    assert sorted(scores.sequence) == sorted(firsts)
    assert scores.score.between(0, 1).all()
    assert driver.counts["watch.between_samples"] == len(finite) - len(scores)


def test_a_crash_changes_no_score() -> None:
    whole = TestDriver(TOPOLOGY, keep=["monitor.anomaly.v1"])
    whole.feed(FEED)
    vectors = TestDriver(TOPOLOGY, keep=["feature.vector.v1"])
    vectors.feed(FEED)
    watch = TestDriver(TOPOLOGY.step("watch"), keep=["monitor.anomaly.v1"])
    rows = vectors.read("feature.vector.v1")

    for start in range(0, rows.num_rows, 100):
        watch.pipe("feature.vector.v1", rows.slice(start, 100))
        watch.crash()
        watch.restore()

    expected = whole.read("monitor.anomaly.v1").sort_by("sequence")
    assert watch.read("monitor.anomaly.v1").sort_by("sequence").equals(expected)


def test_every_vector_is_predicted_and_the_predictions_are_watched() -> None:
    driver = TestDriver(TOPOLOGY, keep=["signal.prediction.v1"])

    driver.feed(FEED)

    said = driver.read("signal.prediction.v1").to_pandas()
    seconds = said.assign(second=said.receive_time_ns // 10**9)
    looked_at = len(seconds.groupby(["instrument", "source", "model", "second"]))
    assert len(said) > looked_at > 10
    assert driver.counts["predictions.between_samples"] == len(said) - looked_at
