"""What a schema was before: versions that were recorded, and whether the present one fits them.

`schemas/history/NAME/NUMBER.avsc` are the schemas that were deployed, oldest first; they are
committed with the project and only ever added to.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from headrace.avro.schema import AvroSchema, parse_schema
from headrace.checks.finding import Finding
from headrace.errors import SchemaError
from headrace.topology import Compatibility

VERSIONS_MAX = 1_000
"""Of one schema."""


@dataclass(frozen=True, slots=True)
class History:
    """The recorded versions of the schemas of a project."""

    folder: Path

    def names(self) -> list[str]:
        """Return the schemas that have versions."""
        return sorted(path.name for path in self.folder.glob("*") if path.is_dir())

    def versions(self, stem: str) -> list[AvroSchema]:
        """Return the versions of a schema, oldest first.

        Raises:  SchemaError if one is none.
        """
        paths = sorted((self.folder / stem).glob("*.avsc"))[:VERSIONS_MAX]
        return [parse_schema(path.read_text(), str(path)) for path in paths]

    def record(self, stem: str, text: str) -> Path:
        """Write the present schema down as the newest version; return its file."""
        number = len(self.versions(stem)) + 1
        path = self.folder / stem / f"{number:03}.avsc"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


def check_history(
    history: History,
    file_of: Mapping[str, str],
    schemas: Mapping[str, AvroSchema],
    rules: Mapping[str, Compatibility],
) -> Iterator[Finding]:
    """Check every schema against what was recorded of it, by the rule of its topics."""
    for stem, schema in schemas.items():
        file = file_of[stem]
        try:
            versions = history.versions(stem)
        except SchemaError as error:
            yield Finding(
                file, f"history of {stem}", "history-damaged", str(error), "restore the file"
            )
            continue
        if not versions:
            yield _unrecorded(file, stem, "expected a recorded version of it, found none")
            continue
        if _same(versions[-1], schema):
            continue
        broken = list(_broken(file, stem, schema, versions, rules.get(stem, "BACKWARD")))
        yield from broken
        if not broken:
            yield _unrecorded(
                file,
                stem,
                f"expected version {len(versions)} as it was recorded, found a change that is "
                "compatible with it",
            )
    for stem in history.names():
        if stem not in schemas and stem not in file_of:
            yield Finding(
                f"schemas/avro/{stem}.avsc",
                f"schema {stem}",
                "schema-gone",
                "expected the file of a schema that was deployed, found none: its records may "
                "still be in a log",
                f"restore the file, or remove schemas/history/{stem} once no log holds them",
            )


def _unrecorded(file: str, stem: str, problem: str) -> Finding:
    return Finding(
        file,
        f"schema {stem}",
        "schema-unrecorded",
        problem,
        "record it with: headrace check --record, and commit schemas/history",
    )


def _same(one: AvroSchema, other: AvroSchema) -> bool:
    """Say whether they are equal but for what they say to people."""
    return bool(_plain(json.loads(one.text)) == _plain(json.loads(other.text)))


def _plain(part: object) -> object:
    if isinstance(part, dict):
        return {key: _plain(value) for key, value in part.items() if key != "doc"}
    if isinstance(part, list):
        return [_plain(value) for value in part]
    return part


def _broken(
    file: str,
    stem: str,
    schema: AvroSchema,
    versions: Sequence[AvroSchema],
    rule: Compatibility,
) -> Iterator[Finding]:
    if rule == "NONE":
        return
    numbers = range(len(versions)) if rule.endswith("_TRANSITIVE") else [len(versions) - 1]
    for number in numbers:
        old = versions[number]
        told = f"version {number + 1}"
        if not rule.startswith("FORWARD"):
            for cause in unreadable(reader=schema, writer=old):
                yield Finding(
                    file,
                    f"schema {stem}, {cause.field}",
                    "schema-backward",
                    f"expected to read what {told} wrote ({rule}), found that it cannot: "
                    f"{cause.problem}",
                    cause.mend,
                )
        if not rule.startswith("BACKWARD"):
            for cause in unreadable(reader=old, writer=schema):
                yield Finding(
                    file,
                    f"schema {stem}, {cause.field}",
                    "schema-forward",
                    f"expected readers of {told} to read what this writes ({rule}), found that "
                    f"they cannot: {cause.problem}",
                    "keep the field as it was, or give the changed record a topic of its own (.v2)",
                )


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why one schema cannot read another's records."""

    field: str
    problem: str
    mend: str


_MENDS = {
    "reader_field_missing_default_value": "give the new field a default",
    "type_mismatch": "give the field its old type, or add another field for the new one",
    "missing_union_branch": "keep the branch, or add another field",
    "missing_enum_symbols": "keep the symbols, or give the enum a default",
    "name_mismatch": "give the record or enum its old name",
    "fixed_size_mismatch": "give it its old size",
}


def unreadable(*, reader: AvroSchema, writer: AvroSchema) -> list[Unreadable]:
    """Return why a reader with one schema cannot read what was written with another.

    By the rules of the Avro specification, "Schema Resolution".
    """
    mine, theirs = _parsed(reader), _parsed(writer)
    if mine.name != theirs.name:
        problem = f"record {mine.name} is not {theirs.name}"
        return [Unreadable("name", problem, _MENDS["name_mismatch"])]
    written = {field.name: field.type for field in theirs.fields}
    found = []
    for field in mine.fields:
        names = [field.name, *field.props.get("aliases", [])]
        old = next((written[name] for name in names if name in written), None)
        if old is not None:
            found += _unlike(field.name, field.type, old)
        elif not field.has_default:
            found.append(
                Unreadable(
                    f"field {field.name}",
                    "it was not written, and has no default",
                    _MENDS["reader_field_missing_default_value"],
                )
            )
    return found


def _parsed(schema: AvroSchema) -> Any:
    return parse(schema.text)


def _unlike(name: str, new: Any, old: Any) -> list[Unreadable]:
    """Return why a field of one type cannot be read of another."""
    checker: Any = ReaderWriterCompatibilityChecker
    result = checker().get_compatibility(new, old)
    if result.compatibility is SchemaCompatibilityType.compatible:
        return []
    kinds = [kind.value for kind in result.incompatibilities] or ["type_mismatch"]
    return [
        Unreadable(
            f"field {name}",
            f"{kinds[0].replace('_', ' ')}: {old} was written, {new} is read",
            _MENDS[kinds[0]],
        )
    ]
