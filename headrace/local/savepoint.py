"""What of a run without Kafka outlives a crash: the tables' pages, and what is still to be read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.local.graph import LocalGraph
from headrace.local.inbox import Inbox
from headrace.local.task import LocalTask
from headrace.runtime.chain import Chain
from headrace.state.pages import PageKey


@dataclass(slots=True)
class _Saved:
    """One chain as its last commit left it; pages by table."""

    pages: dict[str, dict[PageKey, bytes]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    inbox: Inbox = field(default_factory=lambda: Inbox([]))

    def take(self, task: LocalTask) -> None:
        for name, table in task.chain.tables.items():
            pages = self.pages.setdefault(name, {})
            for key, page in table.changes().items():
                if page is None:
                    pages.pop(key, None)
                else:
                    pages[key] = page
            table.settle()
        self.counts = Counter(task.chain.counts)
        # What a merge holds back counts as not read.
        self.inbox = task.inbox.with_before(task.chain.held_parts())

    def fill(self, chain: Chain) -> None:
        for name, table in chain.tables.items():
            table.restore(self.pages.get(name, {}))
        chain.counts.update(self.counts)


class Savepoint:
    """The last commit of a graph, in the pages that a changelog would hold."""

    def __init__(self) -> None:
        self._tasks: dict[tuple[int, int], _Saved] = {}
        self._offsets: Counter[tuple[str, int]] = Counter()
        self._records: Counter[str] = Counter()

    def take(self, graph: LocalGraph) -> None:
        """Make all that the graph has processed count."""
        for key, task in graph.tasks.items():
            self._tasks.setdefault(key, _Saved()).take(task)
        self._offsets = Counter(graph.offsets)
        self._records = Counter(graph.records)

    def restore(self, graph: LocalGraph) -> None:
        """Take the graph back to the last commit, with chains made anew from their pages."""
        graph.tasks.clear()
        for (run, partition), saved in self._tasks.items():
            task = graph.task(run, partition)
            saved.fill(task.chain)
            task.inbox = saved.inbox.with_before([])
        graph.offsets = Counter(self._offsets)
        graph.records = Counter(self._records)

    def pages(self) -> Mapping[tuple[int, int], Mapping[str, Mapping[PageKey, bytes]]]:
        """Return by run and partition, then by table, the pages that count."""
        return {key: saved.pages for key, saved in self._tasks.items()}
