"""Every fuzz target by its name."""

from tests.fuzz.targets import avro_records, frames, numbers, schema_texts

_MODULES = (frames, numbers, avro_records, schema_texts)

TARGETS = {target.name: target for module in _MODULES for target in module.TARGETS}
