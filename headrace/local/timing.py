"""Which runs of steps have to be led through time, and which may take whatever there is.

What a run makes of its input is the same however that is cut if each of its steps sees one order
(one topic, or several merged by sequence, beside what operators say and tables hold) and nothing it
writes comes back to it. Such a run takes all that waits at once. Every other is led through time.
"""

from collections.abc import Sequence

from headrace.runtime.chain import outer_topics
from headrace.topology import Step


def timed_runs(runs: Sequence[Sequence[Step]]) -> list[bool]:
    """Say of each run whether it has to be led through time."""
    reached = _reached(runs)
    return [
        number in reached[number] or not all(_sees_one_order(step) for step in run)
        for number, run in enumerate(runs)
    ]


def reads_itself(run: Sequence[Step]) -> bool:
    """Say whether a run reads from the log what it writes."""
    return bool(set(outer_topics(run)) & {topic.name for step in run for topic in step.writes})


def _sees_one_order(step: Step) -> bool:
    return bool(step.merge) or sum(not topic.is_aside for topic in step.reads) <= 1


def _reached(runs: Sequence[Sequence[Step]]) -> list[set[int]]:
    """Return of each run those that what it writes comes to, directly or through others."""
    reads = [set(outer_topics(run)) for run in runs]
    writes = [{topic.name for step in run for topic in step.writes} for run in runs]
    reached = [
        {other for other, topics in enumerate(reads) if topics & written} for written in writes
    ]
    for through in range(len(runs)):
        for number, found in enumerate(reached):
            if through in found:
                reached[number] = found | reached[through]
    return reached
