"""A broker killed while transactions end: none of them may stay open in its logs.

Kafka 4.3.0 and 4.3.1 may fail this: after the restart the coordinator takes partitions
that have no leader yet for deleted ones, and never ends the transaction there (KAFKA-20734).
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import KafkaException
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from headrace.errors import TransientError
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.consumer import Reader
from headrace.kafka.offsets import OffsetQuery, places_of_topics
from headrace.kafka.transaction import TransactionalProducer
from headrace.servers import Servers

TOPIC = "killed.v1"
PARTITIONS = 50
PRODUCERS = 6
KILLS = 6
RUN_S = 2.0
STABLE_WITHIN_S = 60


@retry(
    retry=retry_if_exception_type((AssertionError, TransientError, KafkaException)),
    stop=stop_after_delay(STABLE_WITHIN_S),
    wait=wait_fixed(1),
    reraise=True,
)
def assert_nothing_is_open(bootstrap: str) -> None:
    places = places_of_topics({TOPIC: PARTITIONS})
    ends, reader = OffsetQuery(bootstrap), Reader(bootstrap, "stable")
    try:
        written = ends.ends(places)
        stable = {place: reader.bounds(*place)[1] for place in places}
    finally:
        ends.close()
        reader.close()
    assert stable == written


def commit_until(stop: threading.Event, bootstrap: str, name: str) -> None:
    producer, query = TransactionalProducer(bootstrap, name, name), OffsetQuery(bootstrap)
    nothing = [None] * PARTITIONS
    while not stop.is_set():
        producer.send(TOPIC, [b"x"] * PARTITIONS, nothing, partitions=range(PARTITIONS))
        producer.commit({}, query.metadata())
    query.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_transaction_stays_open_after_a_broker_is_killed(own_servers: Servers) -> None:
    bootstrap = own_servers.endpoints.kafka
    Admin(bootstrap).ensure([TopicPlan(TOPIC, PARTITIONS)])
    for number in range(KILLS):
        stop = threading.Event()
        with ThreadPoolExecutor(PRODUCERS) as threads:
            running = [
                threads.submit(commit_until, stop, bootstrap, f"killed-{number}-{each}")
                for each in range(PRODUCERS)
            ]
            time.sleep(RUN_S)  # no state to wait for: anywhere in any transaction will do
            own_servers.kill("kafka")
            stop.set()
            for each in running:
                each.result()
        assert_nothing_is_open(bootstrap)
