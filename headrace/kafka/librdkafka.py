"""The C library that confluent_kafka brings along, called without an object a record.

Only functions of its public, stable ABI are declared here; each call gives up the interpreter's
lock. What they mean: the library's own `rdkafka.h`.
"""

import ctypes
import ctypes.util
from ctypes import POINTER, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError

from headrace.errors import UsageError

ERROR_TEXT_BYTES = 512

PRODUCER = 0
ANY_PARTITION = -1

COPY_MESSAGES = 0x2

MESSAGE_WORDS = 9
"""A message is a C struct of so many 64-bit words: error, topic, partition, value and its length,
key and its length, offset, private."""

ERROR, VALUE, KEY = 0, 3, 5
"""The words of a message that are written or read here."""

DELIVERY_REPORT_EVENT = 0x1
LOG_EVENT = 0x4
ERROR_EVENT = 0x8

_TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADERS = 1, 3, 4, 5, 7, 10

_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "rd_kafka_err2str": (c_char_p, [c_int]),
    "rd_kafka_conf_new": (c_void_p, []),
    "rd_kafka_conf_destroy": (None, [c_void_p]),
    "rd_kafka_conf_set": (c_int, [c_void_p, c_char_p, c_char_p, c_char_p, c_size_t]),
    "rd_kafka_conf_set_events": (None, [c_void_p, c_int]),
    "rd_kafka_new": (c_void_p, [c_int, c_void_p, c_char_p, c_size_t]),
    "rd_kafka_destroy": (None, [c_void_p]),
    "rd_kafka_fatal_error": (c_int, [c_void_p, c_char_p, c_size_t]),
    "rd_kafka_outq_len": (c_int, [c_void_p]),
    "rd_kafka_flush": (c_int, [c_void_p, c_int]),
    "rd_kafka_topic_new": (c_void_p, [c_void_p, c_char_p, c_void_p]),
    "rd_kafka_topic_destroy": (None, [c_void_p]),
    "rd_kafka_produce_batch": (c_int, [c_void_p, c_int32, c_int, c_void_p, c_int]),
    "rd_kafka_produceva": (c_void_p, [c_void_p, c_void_p, c_size_t]),
    "rd_kafka_headers_new": (c_void_p, [c_size_t]),
    "rd_kafka_headers_destroy": (None, [c_void_p]),
    "rd_kafka_header_add": (c_int, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t]),
    "rd_kafka_queue_destroy": (None, [c_void_p]),
    "rd_kafka_queue_get_main": (c_void_p, [c_void_p]),
    "rd_kafka_queue_poll": (c_void_p, [c_void_p, c_int]),
    "rd_kafka_set_log_queue": (c_int, [c_void_p, c_void_p]),
    "rd_kafka_event_type": (c_int, [c_void_p]),
    "rd_kafka_event_message_array": (c_size_t, [c_void_p, c_void_p, c_size_t]),
    "rd_kafka_event_message_count": (c_size_t, [c_void_p]),
    "rd_kafka_event_error_string": (c_char_p, [c_void_p]),
    "rd_kafka_event_log": (
        c_int,
        [c_void_p, POINTER(c_char_p), POINTER(c_char_p), POINTER(c_int)],
    ),
    "rd_kafka_event_destroy": (None, [c_void_p]),
    "rd_kafka_error_code": (c_int, [c_void_p]),
    "rd_kafka_error_string": (c_char_p, [c_void_p]),
    "rd_kafka_error_is_fatal": (c_int, [c_void_p]),
    "rd_kafka_error_is_retriable": (c_int, [c_void_p]),
    "rd_kafka_error_txn_requires_abort": (c_int, [c_void_p]),
    "rd_kafka_error_destroy": (None, [c_void_p]),
    "rd_kafka_init_transactions": (c_void_p, [c_void_p, c_int]),
    "rd_kafka_begin_transaction": (c_void_p, [c_void_p]),
    "rd_kafka_commit_transaction": (c_void_p, [c_void_p, c_int]),
    "rd_kafka_abort_transaction": (c_void_p, [c_void_p, c_int]),
    "rd_kafka_send_offsets_to_transaction": (c_void_p, [c_void_p, c_void_p, c_void_p, c_int]),
    "rd_kafka_consumer_group_metadata_read": (
        c_void_p,
        [POINTER(c_void_p), c_char_p, c_size_t],
    ),
    "rd_kafka_consumer_group_metadata_destroy": (None, [c_void_p]),
    "rd_kafka_topic_partition_list_new": (c_void_p, [c_int]),
    "rd_kafka_topic_partition_list_destroy": (None, [c_void_p]),
    "rd_kafka_topic_partition_list_add": (c_void_p, [c_void_p, c_char_p, c_int32]),
    "rd_kafka_topic_partition_list_set_offset": (c_int, [c_void_p, c_char_p, c_int32, c_int64]),
}


def _path() -> str:
    """Return where the library is: beside the package, or one of the system.

    Raises:  UsageError if there is none.
    """
    package = Path(confluent_kafka.__file__).parent
    beside = [package.with_name("confluent_kafka.libs"), package / ".dylibs"]
    for folder in beside:
        for found in sorted(folder.glob("librdkafka*")):
            return str(found)
    if found_in_system := ctypes.util.find_library("rdkafka"):
        return found_in_system
    raise UsageError(
        f"librdkafka: expected it beside {package} or among the system's libraries, found neither; "
        "install confluent-kafka from its wheel, or librdkafka with the system's packages"
    )


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(_path())
    for name, (answer, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = answer, arguments
    return library


lib = _load()


def error_of(code: int) -> KafkaError:
    """Return what stands behind an error code of the library."""
    return KafkaError(code, lib.rd_kafka_err2str(code).decode())


def take_error(error: int | None) -> KafkaError | None:
    """Return what an error object of the library says, and give the object back."""
    if error is None:
        return None
    found = KafkaError(
        lib.rd_kafka_error_code(error),
        (lib.rd_kafka_error_string(error) or b"").decode(errors="replace"),
        bool(lib.rd_kafka_error_is_fatal(error)),
        bool(lib.rd_kafka_error_is_retriable(error)),
        bool(lib.rd_kafka_error_txn_requires_abort(error)),
    )
    lib.rd_kafka_error_destroy(error)
    return found


def fatal_error_of(client: int) -> KafkaError | None:
    """Return why a client cannot go on, if it cannot."""
    text = ctypes.create_string_buffer(ERROR_TEXT_BYTES)
    code = lib.rd_kafka_fatal_error(client, text, ERROR_TEXT_BYTES)
    return KafkaError(code, text.value.decode(errors="replace"), True) if code else None


class _Memory(ctypes.Structure):
    _fields_ = (("start", c_char_p), ("size", c_size_t))


class _Argument(ctypes.Union):
    _fields_ = (
        ("text", c_char_p),
        ("pointer", c_void_p),
        ("number", c_int32),
        ("flags", c_int),
        ("memory", _Memory),
        ("padding", ctypes.c_char * 64),
    )


class _Tagged(ctypes.Structure):
    _fields_ = (("tag", c_int), ("argument", _Argument))


def produce_with_headers(
    client: int,
    place: tuple[str, int],
    value: bytes | None,
    key: bytes | None,
    headers: Any,
) -> KafkaError | None:
    """Queue one record that has headers; return why it was refused, if it was.

    `place` is the topic and the partition, -1 for that of the key.
    """
    made = lib.rd_kafka_headers_new(len(headers))
    for name, content in headers:
        text = name.encode()
        lib.rd_kafka_header_add(made, text, len(text), content, len(content or b""))
    topic, partition = place
    arguments = (_Tagged * 6)()
    for number, (tag, field, content) in enumerate(
        (
            (_TOPIC, "text", topic.encode()),
            (_PARTITION, "number", partition),
            (_VALUE, "memory", _Memory(value, len(value or b""))),
            (_KEY, "memory", _Memory(key, len(key or b""))),
            (_FLAGS, "flags", COPY_MESSAGES),
            (_HEADERS, "pointer", made),
        )
    ):
        arguments[number].tag = tag
        setattr(arguments[number].argument, field, content)
    error = take_error(lib.rd_kafka_produceva(client, arguments, len(arguments)))
    if error is not None:
        lib.rd_kafka_headers_destroy(made)  # what is refused is still ours
    return error
