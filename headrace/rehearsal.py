"""What a worker asks of a broker, asked of an embedded Kafka ahead: later it starts faster."""

from contextlib import closing

from headrace import limits
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.consumer import Consumer, Rebalance
from headrace.kafka.offsets import OffsetQuery
from headrace.kafka.transaction import TransactionalProducer
from headrace.servers.rehearsal import rehearse_kafka
from headrace.settings import Settings

VISITED = "headrace.rehearsal.v1"
VISIT_COMMITS = 300
"""What is called some hundred times is what a JVM takes for worth compiling."""
VISIT_RECORDS = 500


def rehearse(settings: Settings) -> bool:
    """Start an embedded Kafka for a moment, so that all later ones know its classes.

    Returns False, and does nothing, if that was done already.
    Raises:  TransientError if it does not come to its end in time.
    """
    return rehearse_kafka(settings, _visit)


def _visit(bootstrap: str) -> None:
    """Ask of a broker what a worker asks: topics, a member, transactions, and records back."""
    Admin(bootstrap).ensure([TopicPlan(VISITED, limits.PARTITIONS_DEFAULT)])
    values, keys = [b"visit" * 20] * VISIT_RECORDS, [b"%d" % n for n in range(VISIT_RECORDS)]
    producer = TransactionalProducer(bootstrap, VISITED, VISITED)
    others = OffsetQuery(bootstrap, f"{VISITED}.others", counts_open=False)
    with closing(others), closing(Consumer(bootstrap, VISITED, VISITED)) as member:
        member.subscribe(
            [VISITED],
            Rebalance(
                assigned=lambda places: member.start(dict.fromkeys(places, 0)),
                revoked=lambda _: None,
                lost=lambda _: None,
            ),
        )
        for done in range(1, VISIT_COMMITS + 1):
            producer.send(VISITED, values, keys)
            member.poll(limits.BATCH_RECORDS_MAX, 0.01)
            producer.commit({(VISITED, 0): done}, others.metadata())
            member.commit({(VISITED, 0): done})
