"""Seeds of one topology and one input, each held against the same quiet run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from headrace.errors import TransientError, UsageError
from headrace.faults import limits
from headrace.faults.fleet import lane_plans
from headrace.faults.kinds import menus
from headrace.faults.progress import lag_max, recovery_s
from headrace.faults.records import RunRecords
from headrace.faults.run import Outcome, RunPlan, lane_groups_of, run_under, servers_of
from headrace.faults.schedule import Planned, Roster, make_schedule
from headrace.faults.storm import Happened
from headrace.faults.verdict import NOT_FINISHED, Finding, invariants, judge
from headrace.feed import Feed, FeedOptions
from headrace.project import Project
from headrace.topology import Topology
from headrace.up.run import FeedChoice

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Trial:
    """What is to be proven of a topology.

    `kinds` are the names of the faults to choose from, all if empty; `sabotage` is told to workers
    alone.
    """

    project: Project
    topology: Topology
    home: Path
    duration_s: float
    faults: int
    feed: str | None = None
    kinds: tuple[str, ...] = ()
    workers: int = limits.WORKERS_DEFAULT
    sabotage: str = ""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that happened and what it cost: seconds until recovery, the most offsets behind."""

    planned: Planned
    was_applied: bool
    recovery_s: float | None
    lag_max: int


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What one seed came to."""

    seed: int
    schedule: Sequence[Planned]
    struck: Sequence[Struck]
    findings: Mapping[str, Finding]
    deaths: Sequence[str] = ()
    repeated: Mapping[str, int] = field(default_factory=dict)
    records: Mapping[str, int] = field(default_factory=dict)
    input_s: float = 0.0
    whole_s: float = 0.0

    @property
    def violations(self) -> int:
        """Return how many violations there are in all columns."""
        return sum(finding.count for finding in self.findings.values())


class Prover:
    """Runs the quiet run once, then seed after seed."""

    def __init__(self, trial: Trial, tell: Callable[[str], None]) -> None:
        """Prepare a trial; `tell` is told what is going on.

        Raises:  UsageError if there is no finite feed to run.
        """
        self._trial = trial
        self._tell = tell
        self._feed = choose_feed(trial)
        self._quiet: RunRecords | None = None

    def schedule(self, seed: int) -> list[Planned]:
        """Return the faults of a seed."""
        trial = self._trial
        return make_schedule(
            seed,
            menus(roster_of(trial.topology, trial.workers), trial.kinds),
            duration_s=trial.duration_s,
            count=trial.faults,
        )

    def quiet(self) -> RunRecords:
        """Return what a run without faults wrote, in one process, running it if it has not been.

        Raises:  UsageError if even that violates an invariant: faults would prove nothing.
        """
        if self._quiet is None:
            self._tell("the quiet run …")
            plan = replace(self._plan("quiet"), feed=replace(self._feed, speed="max"))
            outcome = run_under(replace(plan, workers=0, environment={}), [])
            _require_sound(self._trial.topology, outcome)
            self._quiet = outcome.records
        return self._quiet

    def prove(self, seed: int) -> SeedReport:
        """Run the input under the faults of a seed and judge what it left."""
        quiet = self.quiet()
        schedule = self.schedule(seed)
        self._tell(f"seed {seed}: {len(schedule)} faults …")
        try:
            outcome = run_under(self._plan(f"seed-{seed}"), schedule, seed)
        except TransientError as error:
            unfinished = {NOT_FINISHED: Finding(1, (str(error),))}
            return SeedReport(seed, schedule, [], unfinished)
        return SeedReport(
            seed,
            schedule,
            [self._struck(outcome, each) for each in outcome.happened],
            judge(self._trial.topology, quiet, outcome),
            outcome.deaths,
            outcome.repeated,
            {name: len(of.bodies) for name, of in outcome.records.by_topic.items()},
            round(outcome.input_s, 1),
            round(outcome.whole_s, 1),
        )

    def _plan(self, name: str) -> RunPlan:
        trial = self._trial
        told = {"HEADRACE_SABOTAGE": trial.sabotage} if trial.sabotage else {}
        return RunPlan(
            trial.project, trial.topology, trial.home / name, self._feed, trial.workers, told
        )

    def _struck(self, outcome: Outcome, each: Happened) -> Struck:
        """Return what a fault cost the lanes it struck: a worker's own, or all of them."""
        topology = self._trial.topology
        roster = roster_of(topology, self._trial.workers)
        groups = {group.group: group for group in lane_groups_of(topology)}
        lane = roster.lane_of(each.planned.target)
        of_lane = [
            groups[plan.group]
            for plan in lane_plans(topology, self._trial.workers)
            if plan.name == lane
        ]
        hit = of_lane or list(groups.values())
        if not each.was_applied or each.injected_s is None or each.healed_s is None:
            return Struck(each.planned, False, None, 0)
        seconds = recovery_s(outcome.samples, hit, from_s=each.counted_from_s)
        until_s = each.healed_s + (seconds or 0.0)
        behind = lag_max(outcome.samples, hit, from_s=each.injected_s, until_s=until_s)
        return Struck(each.planned, True, seconds, behind)


def roster_of(topology: Topology, workers: int) -> Roster:
    """Return whom faults may strike in a fleet of this topology."""
    return Roster(
        {plan.name: plan.names for plan in lane_plans(topology, workers)},
        servers_of(topology),
        topology.source.topic.name,
        tuple(topic.name for topic in topology.proof.repeatable),
        "" if topology.proof.drill is None else topology.proof.drill.say,
    )


def choose_feed(trial: Trial) -> FeedChoice:
    """Return the feed of a trial and a speed at which it outlasts the trial's time.

    Raises:  UsageError if none is named and the topology has none of its own, or it does not end.
    """
    own = trial.topology.proof.feed
    if trial.feed is None and own is None:
        raise UsageError(
            f"topology {trial.topology.name}: expected a finite feed, found none; name one with "
            "--feed, or give the topology Proof(feed=…)"
        )
    if trial.feed is None and own is not None:
        return FeedChoice(own(trial.duration_s), speed=f"{1 / limits.STRETCH:.6g}")
    text = trial.feed or ""
    span_s = span_of(trial.topology.source.open(text, FeedOptions()), text)
    speed = max(span_s, 0.001) / trial.duration_s / limits.STRETCH
    return FeedChoice(text, speed=f"{speed:.6g}")


def span_of(feed: Feed, text: str) -> float:
    """Return how many seconds of receive time a feed spans.

    Raises:  UsageError if it has too many frames to be compared, or does not end.
    """
    count = 0
    first_ns = last_ns = None
    for block in feed.blocks({}):
        if len(block.payloads):
            first_ns = int(block.receive_times_ns[0]) if first_ns is None else first_ns
            last_ns = int(block.receive_times_ns[-1])
        count += len(block.payloads)
        if count > limits.FEED_FRAMES_MAX:
            raise UsageError(
                f"feed {text}: expected at most {limits.FEED_FRAMES_MAX:,} frames, found more; "
                "name a shorter one, such as sim:8?events=20000"
            )
    if first_ns is None or last_ns is None:
        raise UsageError(f"feed {text}: expected frames, found none; name another with --feed")
    return (last_ns - first_ns) / _SECOND_NS


def _require_sound(topology: Topology, outcome: Outcome) -> None:
    """Refuse a quiet run that is not right by itself."""
    found = invariants(topology, outcome.records)
    found["not settled"] = Finding(len(outcome.unsettled), tuple(outcome.unsettled))
    found["workers died"] = Finding(len(outcome.deaths), tuple(outcome.deaths[:1]))
    for sink, topics in outcome.copies.items():
        words = [text for texts in topics.values() for text in texts]
        found[f"{sink} differs"] = Finding(len(words), tuple(words[: limits.EXAMPLES_MAX]))
    broken = [
        f"{name}: {f.count} ({'; '.join(f.examples)})" for name, f in found.items() if f.count
    ]
    if broken:
        raise UsageError(
            f"topology {topology.name}: expected a run without faults to hold, found "
            f"{' · '.join(broken)}; mend that first"
        )
