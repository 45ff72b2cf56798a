"""librdkafka's settings, each with the reason it is not the default."""

from typing import Any

from headrace import limits


def client(bootstrap: str, client_id: str) -> dict[str, Any]:
    """Return what every client needs."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": client_id,
        "socket.keepalive.enable": True,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 2_000,
        "topic.metadata.refresh.interval.ms": 30_000,
        "log.connection.close": False,
    }


def producer(bootstrap: str, client_id: str) -> dict[str, Any]:
    """Return settings for a producer that neither loses, doubles nor reorders."""
    return client(bootstrap, client_id) | {
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        # A batch is handed over in one call, so waiting longer gathers nothing.
        "linger.ms": 0.5,
        "batch.num.messages": limits.BATCH_RECORDS_MAX,
        "batch.size": 2**20,
        "queue.buffering.max.messages": limits.PRODUCER_RECORDS_MAX,
        "queue.buffering.max.kbytes": limits.PRODUCER_BYTES_MAX // 1024,
        "delivery.timeout.ms": limits.DELIVERY_TIMEOUT_MS,
        # A callback a record would cost more than sending it.
        "delivery.report.only.error": True,
        # Java's, so that tables meet their inputs whoever wrote them.
        "partitioner": "murmur2_random",
    }


def consumer(bootstrap: str, client_id: str, group: str) -> dict[str, Any]:
    """Return settings for a consumer that commits only what it is told to."""
    return client(bootstrap, client_id) | {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        # The only built-in one that gives partition p of every topic to the same member.
        "partition.assignment.strategy": "range",
        "queued.max.messages.kbytes": limits.CONSUMER_BYTES_MAX // 1024,
        "queued.min.messages": 50_000,
        "fetch.message.max.bytes": 4 * 2**20,
        "fetch.queue.backoff.ms": 5,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 3_000,
        "check.crcs": True,
    }
