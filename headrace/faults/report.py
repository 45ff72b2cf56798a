"""The prover's findings as a table for a terminal, as JSON, and as figures of a page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from headrace.faults.prove import SeedReport, Struck
from headrace.faults.schedule import Planned
from headrace.faults.verdict import Finding


def schedule_table(seed: int, schedule: Sequence[Planned]) -> Table:
    """Return the faults of a seed before they happen."""
    table = Table(title=f"faults of seed {seed}", title_justify="left")
    for name in ("at s", "fault", "target", "for s"):
        table.add_column(name, justify="right" if name.endswith(" s") else "left")
    for planned in schedule:
        table.add_row(
            f"{planned.at_s:.1f}", planned.fault, planned.target, f"{planned.length_s:.1f}"
        )
    return table


def findings_table(reports: Sequence[SeedReport]) -> RenderableType:
    """Return a row a check and a column a seed, the recovery times, and violations in words."""
    table = Table(title="violations", title_justify="left")
    table.add_column("check")
    for report in reports:
        table.add_column(f"seed {report.seed}", justify="right")
    for name in dict.fromkeys(name for report in reports for name in report.findings):
        table.add_row(name, *(_count(report.findings.get(name)) for report in reports))
    parts: list[RenderableType] = [table, recovery_table(reports)]
    for report in reports:
        for name, finding in report.findings.items():
            parts += [f"seed {report.seed}, {name}: {words}" for words in finding.examples]
        parts += [f"seed {report.seed}, died by itself: {words}" for words in report.deaths]
    return Group(*parts)


def _count(finding: Finding | None) -> str:
    """Return a cell: what was not looked at, because the run was given up, has none."""
    if finding is None:
        return "-"
    return f"[red]{finding.count:,}[/red]" if finding.count else "0"


def recovery_table(reports: Sequence[SeedReport]) -> Table:
    """Return how often each kind of fault happened and how long it took to get over it."""
    table = Table(title="recovery", title_justify="left")
    table.add_column("fault")
    for name in ("happened", "p50 s", "max s", "most offsets behind"):
        table.add_column(name, justify="right")
    for name, figures in recovery_figures(reports).items():
        table.add_row(
            name,
            str(figures["count"]),
            _seconds(figures["recovery_s_p50"]),
            _seconds(figures["recovery_s_max"]),
            f"{figures['lag_max']:,}",
        )
    return table


def recovery_figures(reports: Sequence[SeedReport]) -> dict[str, dict[str, Any]]:
    """Return count, recovery times and greatest lag by kind of fault, over all seeds."""
    kinds: dict[str, list[Struck]] = {}
    for report in reports:
        for struck in report.struck:
            if struck.was_applied:
                kinds.setdefault(struck.planned.fault, []).append(struck)
    return {name: _figures(kinds[name]) for name in sorted(kinds)}


def _figures(struck: Sequence[Struck]) -> dict[str, Any]:
    times = [each.recovery_s for each in struck if each.recovery_s is not None]
    return {
        "count": len(struck),
        "not_recovered": len(struck) - len(times),
        "recovery_s_p50": round(median(times), 2) if times else None,
        "recovery_s_max": round(max(times), 2) if times else None,
        "lag_max": max(each.lag_max for each in struck),
    }


def as_json(reports: Sequence[SeedReport]) -> dict[str, Any]:
    """Return everything that was found."""
    return {
        "faults": sum(applied_faults(reports).values()),
        "violations": sum(report.violations for report in reports),
        "recovery": recovery_figures(reports),
        "seeds": [asdict(report) | {"violations": report.violations} for report in reports],
    }


def applied_faults(reports: Sequence[SeedReport]) -> Counter[str]:
    """Return how many faults of each kind happened."""
    return Counter(
        struck.planned.fault for report in reports for struck in report.struck if struck.was_applied
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
