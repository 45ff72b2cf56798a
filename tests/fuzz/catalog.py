"""Every fuzz target by its name."""

from tests.fuzz.targets import (
    avro_records,
    choices,
    commands,
    feed_files,
    frames,
    numbers,
    schema_texts,
    state_pages,
)

_MODULES = (frames, numbers, avro_records, schema_texts, feed_files, choices, state_pages, commands)

TARGETS = {target.name: target for module in _MODULES for target in module.TARGETS}
