"""A worker of one gateway's lane, as a process that can be killed: driven without Faust.

`python -m tests.integration.gateway_worker BOOTSTRAP HOME INSTANCE VENUE_URL`
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from feeds import open_feed
from gateways.rest_venue import RestVenue
from headrace import Gateway, Source, Topology
from headrace.avro.registry import subject_of
from headrace.avro.schema import load_schema
from headrace.avro.wire import Decoder
from headrace.gateway import GatewayRules
from headrace.kafka.admin import Admin
from headrace.kafka.consumer import Consumer
from headrace.kafka.schema_log import SchemaLog
from headrace.runtime.emission import TopicCodec
from headrace.runtime.gateway_lane import gateway_lane
from headrace.runtime.lane import Lane
from headrace.runtime.stats import Stats
from headrace.runtime.topics import gateway_lane_name
from headrace.settings import Settings
from schemas import topics as t
from tests.integration.exchange_process import KEY, SECRET

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "avro"
ORDERS = replace(t.VENUE_ORDER, name="gatewaytest.order.v1", partitions=2)
REPORTS = replace(t.VENUE_REPORT, name="gatewaytest.report.v1", partitions=2)
SESSION_TIMEOUT_MS = 6_000


def topology(url: str) -> Topology:
    """Return a graph of nothing but a gateway, on topics of its own."""

    def open_venue() -> RestVenue:
        return RestVenue(url, key=SecretStr(KEY), secret=SecretStr(SECRET))

    # A worker that starts, or takes over, is slower than an order may be old.
    rules = GatewayRules(age_s_max=600.0)
    gateway = Gateway("venue", reads=(ORDERS,), writes=(REPORTS,), open=open_venue, rules=rules)
    source = Source(replace(t.FRAME, name="gatewaytest.frame.v1"), open_feed, defaults=())
    return Topology("gatewaytest", source=source, steps=(), gateways=(gateway,))


def build(bootstrap: str, home: Path, instance: str, url: str) -> Lane:
    """Return the lane, as a worker builds it."""
    graph = topology(url)
    (gateway,) = graph.gateways
    registry = SchemaLog(bootstrap)
    codecs = {}
    for topic in (ORDERS, REPORTS):
        schema = load_schema(SCHEMAS, topic.schema)
        schema_id = registry.register(subject_of(topic.name), schema)
        codecs[topic.name] = TopicCodec(topic, schema, schema_id)
    group = gateway_lane_name(graph, gateway.name)
    Admin(bootstrap).set_session(group, SESSION_TIMEOUT_MS)
    return gateway_lane(
        graph,
        gateway,
        bootstrap=bootstrap,
        consumer=Consumer(bootstrap, group, group),
        codecs=codecs,
        decoders={ORDERS.name: Decoder(codecs[ORDERS.name].schema, registry.schema)},
        instance=instance,
        settings=Settings.load(home=home, kafka=bootstrap),
        stats=Stats(),
    )


def main() -> None:
    """Work until killed; end as a failed lane ends its worker."""
    bootstrap, home, instance, url = sys.argv[1:]
    lane = build(bootstrap, Path(home), instance, url)
    lane.reading.submit(lane.start).result()
    try:
        while True:
            work = lane.reading.submit(lane.read).result()
            lane.processing.submit(lane.handle, work).result()
    finally:
        sys.stdout.flush()
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]  # there is one
        os._exit(1)  # as a crash does: nothing is tidied up


if __name__ == "__main__":
    main()
