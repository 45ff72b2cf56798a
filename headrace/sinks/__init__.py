"""Where topics are copied to, out of Kafka."""

from headrace.sinks.columns import ddl_for
from headrace.sinks.contract import PositionLostError, RecordSink, Written
from headrace.sinks.postgres import PostgresSink
from headrace.sinks.redis import RedisSink

__all__ = ["PositionLostError", "PostgresSink", "RecordSink", "RedisSink", "Written", "ddl_for"]
