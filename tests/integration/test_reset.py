"""`headrace reset` on real Kafka: what is forgotten, what comes again, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import UsageError
from headrace.runtime.assemble import Choice
from headrace.servers import Servers
from headrace.topology import Topology
from headrace.versions.places import EARLIEST
from headrace.versions.reset import plan_reset
from tests.integration import peaks_run as run
from tests.integration import sample_run as sample

pytestmark = pytest.mark.long


def test_reset_steps_begin_empty_where_they_are_told(own_servers: Servers, tmp_path: Path) -> None:
    bootstrap = own_servers.endpoints.kafka
    run.make_topics(bootstrap)
    sample.send_ticks(bootstrap, sample.ticks(700))
    with run.worker(bootstrap, tmp_path) as running:
        sample.wait_for("first ticks done", lambda: run.lag(bootstrap) == 0)
        with pytest.raises(UsageError, match=r"headrace.peaks.tally has 1: .*stop these workers"):
            plan_reset(bootstrap, run.topology(), Choice(("tally", "peaks")), EARLIEST)
        assert running.end() == 0
    with pytest.raises(UsageError, match=r"expected their state in headrace\.peaks\.x\."):
        plan_reset(bootstrap, as_one_step(run.topology()), Choice(("x",)), EARLIEST)

    done = run.headrace(bootstrap, tmp_path, "reset", "peaks", "--yes")
    run.run_until_done(bootstrap, tmp_path)
    again = run.peaks(bootstrap)
    late = run.headrace(bootstrap, tmp_path, "reset", "peaks", "--from=latest", answer="y\n")
    sample.send_ticks(bootstrap, sample.ticks(700, first=700))
    run.run_until_done(bootstrap, tmp_path / "other")
    at_last = run.peaks(bootstrap)

    assert (done.returncode, late.returncode) == (0, 0), done.stderr + late.stderr
    assert "comes again for whoever reads: sample.tally.v1, sample.peak.v1" in done.stdout
    once = run.expected_peaks(700)
    assert again == sorted(once * 2)
    assert at_last == sorted(once * 2 + run.expected_peaks(700, first=700))


def as_one_step(topology: Topology) -> Topology:
    """Return the graph with a step that nobody has ever run."""
    step = replace(topology.steps[0], name="x", writes=())
    return replace(topology, steps=(step,))
