"""Schema ids kept in a compacted topic, written as Confluent's registry writes its own."""

import json
from threading import Lock
from time import monotonic

import msgspec
import structlog

from headrace.avro.schema import AvroSchema, parse_schema
from headrace.errors import DecodeError, SchemaError
from headrace.kafka.admin import Admin, TopicPlan
from headrace.kafka.consumer import Reader
from headrace.kafka.producer import Producer

log = structlog.get_logger(__name__)

SCHEMAS_TOPIC = "_schemas"
REREAD_S_MIN = 1.0
"""How often a record with an unknown id, or a question, may make us look for new schemas."""


class Key(msgspec.Struct):
    """What a record of the topic is about; only `SCHEMA` matters here."""

    keytype: str


class Entry(msgspec.Struct):
    """A schema under a subject."""

    subject: str
    id: int
    schema: str


def read_entry(key: bytes | None, value: bytes | None) -> Entry | None:
    """Return what a record of the topic registers, None if it is about something else.

    Raises:  SchemaError if it cannot be read.
    """
    if key is None or value is None:
        return None
    try:
        if msgspec.json.decode(key, type=Key).keytype != "SCHEMA":
            return None
        return msgspec.json.decode(value, type=Entry)
    except msgspec.DecodeError as error:
        raise SchemaError(f"topic {SCHEMAS_TOPIC}: expected a schema's record: {error}") from error


class SchemaLog:
    """The registry that needs no server: one partition, first writer wins, everybody reads.

    Two writers may give one id to two schemas; the log has one order, so all readers agree whose
    it is, and the other one sees that and takes the next.
    """

    def __init__(self, bootstrap: str) -> None:
        Admin(bootstrap).ensure([TopicPlan(SCHEMAS_TOPIC, 1, {"cleanup.policy": "compact"})])
        self._reader = Reader(bootstrap, "headrace-schemas")
        self._producer = Producer(bootstrap, "headrace-schemas")
        self._lock = Lock()
        self._next = 0
        self._last_id = 0
        self._read_at = 0.0
        self.schemas: dict[int, AvroSchema] = {}
        self.versions: dict[str, list[int]] = {}
        with self._lock:
            self._catch_up()

    def register(self, subject: str, schema: AvroSchema) -> int:
        """Return the id of a schema under a subject, giving it one if it has none."""
        with self._lock:
            self._catch_up()
            while True:
                ids = self.versions.get(subject, [])
                for schema_id in ids:
                    if self.schemas[schema_id].text == schema.text:
                        return schema_id
                known = [i for i, found in self.schemas.items() if found.text == schema.text]
                chosen = known[0] if known else self._last_id + 1
                self._write(subject, len(ids) + 1, chosen, schema)
                self._catch_up()

    def schema(self, schema_id: int) -> AvroSchema:
        """Return the schema of an id. Raises DecodeError if there is none."""
        with self._lock:
            if schema_id not in self.schemas:
                self._look_again()
            found = self.schemas.get(schema_id)
        if found is None:
            raise DecodeError(f"schema id {schema_id} is not in the topic {SCHEMAS_TOPIC}")
        return found

    def refresh(self) -> None:
        """Take in what others have registered, unless that was done just now."""
        with self._lock:
            self._look_again()

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _write(self, subject: str, version: int, schema_id: int, schema: AvroSchema) -> None:
        key = {"keytype": "SCHEMA", "subject": subject, "version": version, "magic": 1}
        value = {
            "subject": subject,
            "version": version,
            "id": schema_id,
            "schema": schema.text,
            "deleted": False,
        }
        self._producer.send(SCHEMAS_TOPIC, [json.dumps(value).encode()], [json.dumps(key).encode()])
        self._producer.flush()

    def _look_again(self) -> None:
        if monotonic() - self._read_at > REREAD_S_MIN:
            self._catch_up()

    def _catch_up(self) -> None:
        place = (SCHEMAS_TOPIC, 0)
        _, end = self._reader.bounds(*place)
        for part in self._reader.read_through({place: self._next}, {place: end}):
            for key, value in zip(part.keys, part.values, strict=True):
                self._apply(key, value)
        self._next = end
        self._read_at = monotonic()

    def _apply(self, key: bytes | None, value: bytes | None) -> None:
        try:
            entry = read_entry(key, value)
            if entry is None:
                return
            self._last_id = max(self._last_id, entry.id)
            schema = parse_schema(entry.schema, f"topic {SCHEMAS_TOPIC}, id {entry.id}")
        except SchemaError as error:  # records that name it are dead letters, as with no schema
            log.warning("schema_unreadable", error=str(error))
            return
        holder = self.schemas.setdefault(entry.id, schema)
        if holder.text == schema.text:
            ids = self.versions.setdefault(entry.subject, [])
            if entry.id not in ids:
                ids.append(entry.id)
