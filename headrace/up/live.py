"""The live view of a run in a terminal."""

from typing import Any

import msgspec
import redis
from rich.console import Group, RenderableType
from rich.panel import Panel as Box
from rich.table import Table
from rich.text import Text

from headrace.servers import ServerState
from headrace.topology import Panel
from headrace.up.reload import Reloader
from headrace.up.report import counts_of_run, step_reports
from headrace.up.run import Run

REDIS_TIMEOUT_S = 1.0
ROWS_MAX = 12


class LiveView:
    """Words what a run knows of itself, again and again."""

    def __init__(self, run: Run, feed_words: str, reloader: Reloader | None = None) -> None:
        self._run = run
        self._feed_words = feed_words
        self._reloader = reloader
        self._before: dict[str, tuple[float, int]] = {}
        self._redis = redis.Redis.from_url(
            run.endpoints.redis,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
        )

    def render(self, servers: list[ServerState]) -> RenderableType:
        """Return the view as it is now."""
        parts: list[RenderableType] = [self._header(), self._steps()]
        parts += [self._panel(panel) for panel in self._run.topology.panels]
        parts += self._troubles()
        if self._reloader is not None:
            parts.append(Box(Text(self._reloader.note), title="reload", title_align="left"))
        parts.append(self._servers(servers))
        return Group(*parts)

    def _troubles(self) -> list[RenderableType]:
        """Return what became of workers that do not run."""
        dead = [w.process for w in self._run.workers if w.process.exit_code is not None]
        words = "\n".join(str(process.fail()) for process in dead)
        return [Box(Text(words), title="[red]failed[/red]", title_align="left")] if dead else []

    def _header(self) -> RenderableType:
        feed = self._run.feed.said if self._run.feed is not None else {}
        state = "ended" if feed.get("is_ended") else "waits" if feed.get("is_waiting") else "reads"
        dropped = sum(feed.get("dropped", {}).values())
        return Box(
            f"{self._feed_words}\n"
            f"[b]{feed.get('frames', 0):,}[/b] frames sent, {dropped:,} lines dropped, {state} · "
            f"{self._run.elapsed_s:,.0f} s",
            title=f"headrace · {self._run.topology.name}",
            title_align="left",
        )

    def _steps(self) -> RenderableType:
        table = Table(expand=True)
        table.add_column("step")
        for name in ("records/s", "records", "batch", "lag", "p50 ms", "p99 ms", "dead"):
            table.add_column(name, justify="right")
        for name, stats in step_reports(self._run, max(self._run.elapsed_s, 0.001)).items():
            table.add_row(
                name,
                f"{self._rate(name, stats['records_in']):,.0f}",
                f"{stats['records_in']:,}",
                f"{stats['batch_records_mean']:,.0f}",
                f"{stats['lag']:,}",
                _ms(stats["latency_ms_p50"]),
                _ms(stats["latency_ms_p99"]),
                f"[red]{stats['dead_letters']:,}[/red]" if stats["dead_letters"] else "0",
            )
        rejected = {n: c for n, c in counts_of_run(self._run).items() if ".rejected_" in n and c}
        if rejected:
            table.caption = " · ".join(f"{n.split('.')[-1]} {c:,}" for n, c in rejected.items())
        return table

    def _rate(self, name: str, records: int) -> float:
        """Return records a second since the last time the view was drawn."""
        now_s = self._run.elapsed_s
        then_s, before = self._before.get(name, (0.0, 0))
        if records < before:  # another process, which counts from 0
            before = 0
        self._before[name] = (now_s, records)
        return (records - before) / (now_s - then_s) if now_s > then_s else 0.0

    def _panel(self, panel: Panel) -> RenderableType:
        table = Table(title=panel.title, title_justify="left", expand=True)
        rows = self._rows(panel)
        if not rows:
            return Box("nothing yet", title=panel.title, title_align="left")
        for name in rows[0]:
            table.add_column(name, justify="right")
        for row in rows[:ROWS_MAX]:
            table.add_row(*row.values())
        return table

    def _rows(self, panel: Panel) -> list[Any]:
        try:
            found = self._redis.hgetall(f"headrace:{panel.topic.name}")
        except redis.RedisError as error:
            return [{"Redis": f"away: {type(error).__name__}"}]
        values = [value for _, value in sorted(found.items())]
        return [panel.row(msgspec.json.decode(value)) for value in values]

    def _servers(self, servers: list[ServerState]) -> RenderableType:
        words = [
            f"{server.name} [b]{server.where}[/b] {server.state}"
            + (f" ({server.restarts} restarts)" if server.restarts else "")
            for server in servers
        ]
        words += [f"{worker.process.name} {worker.url}" for worker in self._run.workers]
        return Box("\n".join(words), title="listening", title_align="left")

    def close(self) -> None:
        """Disconnect."""
        self._redis.close()


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"
