"""librdkafka's settings, each with the reason it is not the default."""

from typing import Any


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
