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
        "message.max.bytes": limits.RECORD_BYTES_MAX,
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


def transactional(bootstrap: str, client_id: str, transactional_id: str) -> dict[str, Any]:
    """Return settings for a producer whose records count together or not at all."""
    return producer(bootstrap, client_id) | {
        "transactional.id": transactional_id,
        # A broker's restart fits in. What a dead worker leaves open is closed by whoever takes its
        # partitions, without waiting for this.
        "transaction.timeout.ms": limits.TRANSACTION_TIMEOUT_MS,
        "delivery.timeout.ms": limits.TRANSACTION_TIMEOUT_MS,
        # A transaction that begins while the broker still writes the markers of the last one is
        # told to come again: 100 ms later by default, which is the length of a transaction here.
        "retry.backoff.ms": 5,
    }


def reader(bootstrap: str, client_id: str) -> dict[str, Any]:
    """Return settings for a client that asks for offsets; records are read by the fetcher."""
    return client(bootstrap, client_id) | {
        # The client wants a name even where no group is joined.
        "group.id": client_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
    }


def member(bootstrap: str, client_id: str, group: str, instance: str | None) -> dict[str, Any]:
    """Return settings for a member of a consumer group.

    `instance` names a static member: it may be away for a session, as in a restart, and gets its
    own partitions back. Without it a member leaves when it ends.
    """
    settings = reader(bootstrap, client_id) | {
        "group.id": group,
        # The broker assigns (KIP-848): a rebalance stops only the partitions that move.
        "group.protocol": "consumer",
        # Gives partition p of every topic to the same member, and leaves it there.
        "group.remote.assignor": "range",
    }
    if instance is not None:
        settings["group.instance.id"] = instance
    return settings
