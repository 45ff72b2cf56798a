"""The stats as Prometheus reads them."""

from collections.abc import Iterator

import numpy as np
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from headrace.runtime.stats import Stats, quantile_ms

COUNTERS = {
    "records_in": "Records read",
    "records_out": "Records written",
    "batches": "Batches processed",
    "dead_letters": "Records sent to a dead letter topic",
    "busy_s": "Seconds spent in the agent",
}


class _StatsCollector:
    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        """Yield every counter, lag and latency, labelled by step."""
        found = self._stats.as_json()
        for name, text in COUNTERS.items():
            counter = CounterMetricFamily(f"headrace_step_{name}", text, labels=["step"])
            for step, stats in found["steps"].items():
                counter.add_metric([step], stats[name])
            yield counter
        lag = GaugeMetricFamily(
            "headrace_step_lag_records", "Records not read yet", labels=["step"]
        )
        age = GaugeMetricFamily(
            "headrace_step_latency_ms", "Age of records when done", labels=["step", "quantile"]
        )
        for step, stats in found["steps"].items():
            lag.add_metric([step], stats["lag"])
            for quantile in (0.5, 0.99):
                value = quantile_ms(np.asarray(stats["latency_counts"]), quantile)
                if value is not None:
                    age.add_metric([step, str(quantile)], value)
        yield lag
        yield age
        named = CounterMetricFamily("headrace_named_count", "Named outcomes", labels=["name"])
        for name, count in found["counts"].items():
            named.add_metric([name], count)
        yield named


def exposition(stats: Stats) -> str:
    """Return the text of a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StatsCollector(stats))
    text: str = generate_latest(registry).decode()
    return text
