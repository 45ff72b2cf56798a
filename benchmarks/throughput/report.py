"""What rounds came to: medians and spread, a table, and how far the targets are met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.throughput.catalog import HEADRACE, Job, Peer
from benchmarks.throughput.run import Run

MOONSHOT = 1_000_000
COLUMNS = (
    *("peer", "records", "rounds", "events/s", "range", "CPU µs an event", "range"),
    *("broker's µs", "others' cores", "output"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """How many times as fast as another a peer is to be in a job."""

    job: str
    peer: str
    other: str
    times: float


TARGETS = (
    Target("vwap", "headrace", "streams", 3),
    Target("vwap", "headrace", "quix", 15),
    Target("vwap", "headrace", "faust", 300),
    Target("vwap", "headrace-exactly", "streams-exactly", 3),
    Target("windows", "headrace", "streams", 3),
)
"""Those of the speed issue."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The rounds of a peer at a job: medians, the least and the most, and what was wrong."""

    peer: str
    job: str
    records: int
    rounds: int
    rate: float
    rate_min: float
    rate_max: float
    cpu_us: float
    cpu_us_min: float
    cpu_us_max: float
    broker_cpu_us: float
    others_cores: float
    faults: tuple[str, ...]


def summary(runs: Sequence[Run]) -> Summary | None:
    """Return the summary of a peer's runs at one job; None if none gave a figure."""
    figures = [run.figure for run in runs if run.figure is not None]
    if not figures:
        return None
    rates = [figure.rate for figure in figures]
    costs = [figure.cpu_us for figure in figures]
    return Summary(
        peer=runs[0].peer,
        job=runs[0].job,
        records=runs[0].records,
        rounds=len(figures),
        rate=median(rates),
        rate_min=min(rates),
        rate_max=max(rates),
        cpu_us=median(costs),
        cpu_us_min=min(costs),
        cpu_us_max=max(costs),
        broker_cpu_us=median(figure.broker_cpu_us for figure in figures),
        others_cores=median(figure.others_cores for figure in figures),
        faults=tuple(run.fault for run in runs if run.fault),
    )


def summaries(runs: Sequence[Run]) -> dict[tuple[str, str], Summary]:
    """Return the summary of each job and peer that gave figures."""
    keys = dict.fromkeys((run.job, run.peer) for run in runs)
    found = {key: summary([run for run in runs if (run.job, run.peer) == key]) for key in keys}
    return {key: mine for key, mine in found.items() if mine is not None}


def table(job: Job, peers: Sequence[Peer], runs: Sequence[Run]) -> list[str]:
    """Return a job's figures as Markdown, the peers in their order."""
    lines = [
        f"**{job.title}**",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for peer in peers:
        mine = [run for run in runs if (run.peer, run.job) == (peer.name, job.name)]
        if mine:
            lines.append(row(peer, mine))
    return lines


def row(peer: Peer, runs: Sequence[Run]) -> str:
    """Return a peer's line of the table."""
    found = summary(runs)
    records = f"{runs[0].records:,}"
    if found is None:
        return f"| {peer.title} | {records} | 0 | - | | - | | | | **{in_cell(runs[0].fault)}** |"
    verdict = "right" if not found.faults else f"**wrong**: {in_cell(found.faults[0])}"
    return (
        f"| {peer.title} | {records} | {found.rounds} | {found.rate:,.0f} | "
        f"{found.rate_min:,.0f} to {found.rate_max:,.0f} | "
        f"{found.cpu_us:.2f} | {found.cpu_us_min:.2f} to {found.cpu_us_max:.2f} | "
        f"{found.broker_cpu_us:.2f} | {found.others_cores:.2f} | {verdict} |"
    )


def in_cell(text: str) -> str:
    """Return words that do not break a table."""
    return text.replace("|", "/").replace("\n", " ")[:300]


def verdicts(found: Mapping[tuple[str, str], Summary]) -> list[str]:
    """Return how far the targets are met by summaries (by job and peer), as Markdown.

    Who was wrong is compared with nobody.
    """
    right = {key: mine for key, mine in found.items() if not mine.faults}
    lines = ["| target | at least | found | |", "|---|---|---|---|"]
    for target in TARGETS:
        mine = right.get((target.job, target.peer))
        other = right.get((target.job, target.other))
        if mine is not None and other is not None:
            what = f"{target.job}: {target.peer} to {target.other}"
            lines.append(verdict(what, target.times, mine.rate / other.rate, " times"))
    mine = right.get(("vwap", HEADRACE.name))
    if mine is not None:
        lines.append(verdict("vwap: events/s, the moonshot", MOONSHOT, mine.rate, ""))
        others = [s.cpu_us for (job, peer), s in right.items() if job == "vwap" and is_other(peer)]
        if others:
            what = "vwap: CPU of the thriftiest peer to headrace's"
            lines.append(verdict(what, 1, min(others) / mine.cpu_us, " times"))
    return lines


def is_other(peer: str) -> bool:
    """Say whether a peer is not ours."""
    return not peer.startswith("headrace")


def verdict(what: str, least: float, found: float, unit: str) -> str:
    """Return one target's line."""
    digits = ".0f" if least >= MOONSHOT else ".2f"
    word = "met" if found >= least else f"**missed by {1 - found / least:.0%}**"
    return f"| {what} | {least:,.0f}{unit} | {found:,{digits}}{unit} | {word} |"
