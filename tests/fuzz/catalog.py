"""Every fuzz target by its name."""

from tests.fuzz.targets import (
    avro_records,
    broker_answers,
    choices,
    commands,
    feed_files,
    frames,
    numbers,
    record_batches,
    schema_texts,
    state_pages,
)

_MODULES = (
    *(frames, numbers, avro_records, record_batches, broker_answers, schema_texts),
    *(feed_files, choices, state_pages, commands),
)

TARGETS = {target.name: target for module in _MODULES for target in module.TARGETS}
