"""Topics, made where missing, and groups: who is in one, and how long a member may be silent."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import structlog
from confluent_kafka import (
    KafkaError,
    KafkaException,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from headrace import limits
from headrace.errors import TopologyError, TransientError
from headrace.kafka import config
from headrace.kafka.client_log import logged
from headrace.kafka.outages import over_outages

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT_S = limits.REQUEST_TIMEOUT_S + 5
"""Longer than the client's own timeout, so that it is the client that says what was wrong."""


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it should be."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


class Admin:
    """Asks and tells the cluster; every call is bounded in time."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._connect()

    def _connect(self) -> None:
        self._client = AdminClient(config.client(self._bootstrap, "headrace-admin") | logged())

    def _away(self, what: str) -> TransientError:
        """Return the error of a call that failed; the next one begins with a new connection.

        The client keeps the leader epochs it has once heard: after a broker's restart it would be
        refused for ever.
        """
        self._connect()
        return TransientError(what)

    @over_outages
    def partitions(self) -> dict[str, int]:
        """Return the number of partitions of each topic."""
        try:
            found = self._client.list_topics(timeout=limits.REQUEST_TIMEOUT_S).topics
        except KafkaException as error:
            raise self._away(f"Kafka does not answer: {error}") from error
        return {name: len(topic.partitions) for name, topic in found.items()}

    def ensure(self, plans: Sequence[TopicPlan], replicas: int = -1) -> list[str]:
        """Create the topics that are missing and return their names.

        Raises:  TopologyError if one exists with another number of partitions.
        """
        existing = self.partitions()
        for plan in plans:
            found = existing.get(plan.name, plan.partitions)
            if found != plan.partitions:
                raise TopologyError(
                    f"topic {plan.name}: expected {plan.partitions} partitions, found {found}; "
                    f"set Topic(partitions={found}) or make the topic anew"
                )
        missing = {plan.name: plan for plan in plans if plan.name not in existing}
        if missing:
            self._create(list(missing.values()), replicas)
        return list(missing)

    def set_session(self, group: str, session_timeout_ms: int) -> None:
        """Tell the broker how long members of a group may be silent.

        A broker that allows no such time keeps its own, and the log says so.
        """
        wanted = {
            "consumer.session.timeout.ms": session_timeout_ms,
            "consumer.heartbeat.interval.ms": session_timeout_ms // limits.HEARTBEATS_A_SESSION,
        }
        entries = [
            ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
            for name, value in wanted.items()
        ]
        resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)
        (future,) = self._client.incremental_alter_configs(
            [resource], request_timeout=limits.REQUEST_TIMEOUT_S
        ).values()
        try:
            future.result(ANSWER_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            log.warning("session_timeout_not_set", group=group, wanted=wanted, error=str(error))

    @over_outages
    def members(self, groups: Sequence[str]) -> dict[str, list[str]]:
        """Return by group who is in it, by instance name or member id; nobody in unknown groups.

        A static member counts until its session has run out.
        """
        if not groups:
            return {}
        futures = self._client.describe_consumer_groups(
            list(groups), request_timeout=limits.REQUEST_TIMEOUT_S
        )
        found = {}
        for group, future in futures.items():
            about = self._answer(
                future, f"group {group}", "cannot be asked", KafkaError.GROUP_ID_NOT_FOUND
            )
            members = [] if about is None else about.members
            found[group] = [each.group_instance_id or each.member_id for each in members]
        return found

    @over_outages
    def groups(self) -> list[str]:
        """Return the names of all groups, with members and without."""
        future = self._client.list_consumer_groups(request_timeout=limits.REQUEST_TIMEOUT_S)
        found = self._answer(future, "groups", "cannot be listed")
        return sorted(group.group_id for group in found.valid)

    def delete_groups(self, groups: Sequence[str]) -> None:
        """Forget groups without members, with their offsets; unknown ones are gone already.

        Raises:  TransientError if one is still there.
        """
        if groups:
            self._delete(
                "group",
                self._client.delete_consumer_groups(
                    list(groups), request_timeout=limits.REQUEST_TIMEOUT_S
                ),
                KafkaError.GROUP_ID_NOT_FOUND,
            )

    def delete_topics(self, topics: Sequence[str]) -> None:
        """Delete topics; unknown ones are gone already.

        Raises:  TransientError if one is still there.
        """
        if topics:
            self._delete(
                "topic",
                self._client.delete_topics(
                    list(topics), operation_timeout=limits.REQUEST_TIMEOUT_S
                ),
                KafkaError.UNKNOWN_TOPIC_OR_PART,
            )

    def _delete(self, what: str, futures: Mapping[str, Future[None]], unknown: int) -> None:
        for name, future in futures.items():
            self._answer(future, f"{what} {name}", "cannot be deleted", unknown)

    def _answer(
        self, future: Future[Any], what: str, failed: str, unknown: int | None = None
    ) -> Any:
        """Return what the cluster answers; None if its error is that there is no such thing."""
        try:
            return future.result(ANSWER_TIMEOUT_S)
        except TimeoutError as error:
            raise self._away(f"{what}: no answer in {ANSWER_TIMEOUT_S} s") from error
        except KafkaException as error:
            if error.args[0].code() != unknown:
                raise self._away(f"{what} {failed}: {error}") from error
            return None

    def _create(self, plans: Sequence[TopicPlan], replicas: int) -> None:
        wanted = [
            NewTopic(plan.name, plan.partitions, replicas, config=dict(plan.config))
            for plan in plans
        ]
        futures = self._client.create_topics(wanted, operation_timeout=limits.REQUEST_TIMEOUT_S)
        for name, future in futures.items():
            try:
                future.result(ANSWER_TIMEOUT_S)
            except TimeoutError as error:
                raise TransientError(f"topic {name}: no answer in {ANSWER_TIMEOUT_S} s") from error
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise TransientError(f"topic {name} cannot be created: {error}") from error
