"""Consumer groups from outside: which there are, who is in them, and their end."""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from headrace import limits
from headrace.errors import TransientError
from headrace.kafka import config
from headrace.kafka.admin import ANSWER_TIMEOUT_S
from headrace.kafka.client_log import logged
from headrace.kafka.outages import over_outages


class Groups:
    """Asks for groups and removes them; every call is bounded in time."""

    def __init__(self, bootstrap: str) -> None:
        self._client = AdminClient(config.client(bootstrap, "headrace-groups") | logged())

    @over_outages
    def names(self) -> list[str]:
        """Return the names of all groups of the cluster."""
        future = self._client.list_consumer_groups(request_timeout=limits.REQUEST_TIMEOUT_S)
        try:
            found = future.result(ANSWER_TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise TransientError(f"consumer groups cannot be listed: {error}") from error
        if found.errors:
            raise TransientError(f"consumer groups cannot be listed: {found.errors[0]}")
        return sorted(group.group_id for group in found.valid)

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
            try:
                members = future.result(ANSWER_TIMEOUT_S).members
            except TimeoutError as error:
                raise TransientError(f"group {group}: no answer in {ANSWER_TIMEOUT_S} s") from error
            except KafkaException as error:
                if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise TransientError(f"group {group} cannot be asked: {error}") from error
                members = []
            found[group] = [each.group_instance_id or each.member_id for each in members]
        return found

    def delete(self, groups: Sequence[str]) -> None:
        """Remove these groups with the offsets they committed; unknown ones are gone already.

        Raises:  TransientError if one has members, or Kafka does not answer.
        """
        if not groups:
            return
        futures = self._client.delete_consumer_groups(
            list(groups), request_timeout=limits.REQUEST_TIMEOUT_S
        )
        for group, future in futures.items():
            try:
                future.result(ANSWER_TIMEOUT_S)
            except TimeoutError as error:
                raise TransientError(f"group {group}: no answer in {ANSWER_TIMEOUT_S} s") from error
            except KafkaException as error:
                if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                    raise TransientError(f"group {group} cannot be removed: {error}") from error
