"""What linters cannot check of this repository's own rules (docs/STYLE.md).

Exceptions stand in tables beside their check; a table may only shrink: an entry that is no longer
needed fails as well.
"""

import ast
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer.main

import headrace
from headrace.cli import app as command_line
from headrace.settings import ENV_PREFIX, Settings
from headrace.topology import Topic, Topology
from schemas import topics
from tests.repository_files import (
    CODE,
    PACKAGES,
    ROOT,
    body_lines,
    functions,
    sources,
    texts,
    tracked,
    trees,
)

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

CATCH_ALLS = {
    "headrace/checks/project.py": 1,  # importing a person's module raises whatever it likes
    "headrace/kafka/fetcher.py": 1,  # a thread's end, raised again by whoever takes
    "headrace/kafka/sender.py": 1,  # likewise, by whoever waits for it
    "headrace/runtime/app.py": 2,  # the engine's one supervisor: it stops the worker, loudly
    "headrace/state/store.py": 1,  # rocksdict raises a bare Exception for a corrupt store
}
"""Handlers of every exception, by module."""

VAGUE_WORDS = frozenset({"util", "helper", "common", "manager", "base", "misc"})
TRADE_WORDS = frozenset({"base_currency"})
"""Of the domain, though a part of it is a vague word."""

SHORT_TOPICS = frozenset({"position.v1"})
"""A record that is its own domain."""

FOREIGN_VARIABLES = frozenset({"HEADRACE_SHARED_DATA"})
"""Variables on the settings page that only tests and benchmarks read."""

# Put together here, so that this file does not hold what it forbids.
MACHINE_PATHS = tuple(f"/{folder}/" for folder in ("work", "root"))
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("registry", "yarnpkg"),
        ("proxy", "golang"),
        ("repo1", "maven"),
        ("repo", "maven"),
        ("index", "crates"),
    )
)
UNFINISHED = re.compile(
    "|".join((r"\bTO" + r"DO\b(?!\s*\(?#\d+)", r"\bFIX" + "ME", r"\bXX" + r"X\b"))
)

TOPIC_NAME = re.compile(r"[a-z]+\.[a-z]+\.v[1-9]\d*")
TABLE_NAME = re.compile(r"(?P<owner>[a-z_]+)\.[a-z_]+_by_[a-z_]+\.v[1-9]\d*")
AGENT_NAME = re.compile(r"[a-z]+(_[a-z]+)+")
ADR_NAME = re.compile(r"(\d{4})-[a-z0-9-]+\.md")
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")


def test_every_module_fits_one_idea() -> None:
    """At most 500 lines."""
    report(
        f"{name}: expected at most {MODULE_LINES_MAX} lines, found {length}; give an idea of it a "
        "module of its own"
        for name, text in sources(*CODE)
        if (length := len(text.splitlines())) > MODULE_LINES_MAX
    )


def test_every_function_fits_a_screen() -> None:
    """At most 70 lines, its docstring not counted."""
    report(
        f"{name}:{function.lineno}: {function.name}: expected at most {FUNCTION_LINES_MAX} lines "
        f"without its docstring, found {length}; move a step of it into a function below"
        for name, tree in trees(*CODE)
        for function in functions(tree)
        if (length := body_lines(function)) > FUNCTION_LINES_MAX
    )


def test_names_say_what_a_thing_is() -> None:
    """No module, class or function of ours is named after no idea at all."""
    report(
        f"{where}: expected a name that says what it is for, found {name!r} with "
        f"{', '.join(vague)}; name the one thing it does"
        for where, name in names()
        if (vague := sorted(words(name) & VAGUE_WORDS))
    )


def test_unfinished_work_has_an_issue() -> None:
    """A note of work to do carries an issue's number; what is broken does not merge."""
    report(
        f"{name}:{number}: expected no unfinished work without an issue, found "
        f"{line.strip()!r}; finish it, or open an issue and write its #NUMBER"
        for name, text in texts(".py", ".sql", ".lua", ".toml", ".yml", ".yaml", ".ts", ".sh")
        for number, line in enumerate(text.splitlines(), start=1)
        if UNFINISHED.search(line)
    )


def test_only_the_supervisor_catches_everything() -> None:
    """Whoever else catches Exception hides bugs; exceptions are counted in CATCH_ALLS."""
    found = Counter(name for name, tree in trees(*PACKAGES) for _ in catch_alls(tree))
    report(
        f"{name}: expected {CATCH_ALLS.get(name, 0)} handlers of every exception, found "
        f"{found[name]}; catch what the call is known to raise, or correct CATCH_ALLS"
        for name in sorted(found.keys() | CATCH_ALLS.keys())
        if found[name] != CATCH_ALLS.get(name, 0)
    )


def test_files_name_no_machine_and_no_package_registry() -> None:
    """A clone works wherever it lies, with whatever registry its machine is set up for."""
    report(
        f"{name}:{number}: expected no path of one machine and no host of a package registry, "
        f"found {found}; use a path relative to the project, or the machine's own configuration"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        for found in (*MACHINE_PATHS, *REGISTRY_HOSTS)
        if found in line
    )


def test_every_schema_is_one_documented_record() -> None:
    """The file says record and version; time is nanoseconds; money and size are integers."""
    problems = []
    for path in sorted((ROOT / "schemas" / "avro").glob("*.avsc")):
        schema = json.loads(path.read_text())
        where = f"schemas/avro/{path.name}"
        stem = f"{snake(schema['name'])}.v"
        if not re.fullmatch(re.escape(stem) + r"[1-9]\d*", path.stem):
            problems.append(f"{where}: expected the name {stem}N.avsc of {schema['name']}; rename")
        records = [kind for kind in named_types(schema) if kind["type"] == "record"]
        if len(records) != 1:
            problems.append(f"{where}: expected one record, found {len(records)}; part them")
        if not schema.get("doc"):
            problems.append(f"{where}: expected a doc of the record, found none; say what it is")
        problems += [
            f"{where}: field {field['name']}: {p}"
            for field in schema["fields"]
            for p in field_problems(field)
        ]
    report(problems)


def test_every_topic_has_a_plain_name_and_a_schema() -> None:
    """`domain.record.vN`; its key is of its record; no schema is without a topic."""
    problems = []
    declared = [value for value in vars(topics).values() if isinstance(value, Topic)]
    files = {path.stem: path for path in (ROOT / "schemas" / "avro").glob("*.avsc")}
    for topic in declared:
        where = f"schemas/topics.py: {topic.name}"
        if not TOPIC_NAME.fullmatch(topic.name) and topic.name not in SHORT_TOPICS:
            problems.append(f"{where}: expected domain.record.vN, singular; rename the topic")
        if topic.schema not in files:
            problems.append(
                f"{where}: expected schemas/avro/{topic.schema}.avsc, found none; add it"
            )
            continue
        fields = {field["name"] for field in json.loads(files[topic.schema].read_text())["fields"]}
        if missing := {*topic.key, *topic.partition_by} - fields:
            problems.append(
                f"{where}: key fields {sorted(missing)} are not in {topic.schema}; mend"
            )
    problems += [
        f"schemas/avro/{stem}.avsc: expected a topic that carries it, found none; remove it"
        for stem in sorted(files.keys() - {topic.schema for topic in declared})
    ]
    report(problems)


def test_every_agent_is_named_as_its_file() -> None:
    """`agents/verb_object.py` holds the function `verb_object`."""
    problems = []
    for path in sorted((ROOT / "agents").glob("*.py")):
        if path.stem == "__init__":
            continue
        public = [
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        ]
        if not AGENT_NAME.fullmatch(path.stem):
            problems.append(f"agents/{path.name}: expected verb_object.py; rename it")
        if path.stem not in public:
            problems.append(
                f"agents/{path.name}: expected a function {path.stem}, found "
                f"{', '.join(public) or 'none'}; an agent is named as its file"
            )
    report(problems)


def test_every_table_is_named_after_the_agent_that_owns_it() -> None:
    """`owner.noun_by_key.vN`."""
    report(
        f"topologies: {topology.name}, step {step.name}: expected a table named "
        f"{step.agent.__name__}.noun_by_key.vN, found {step.table.name}; rename it"
        for topology in topologies()
        for step in topology.steps
        if step.table is not None
        and (
            (name := TABLE_NAME.fullmatch(step.table.name)) is None
            or name["owner"] != step.agent.__name__
        )
    )


def test_the_public_face_is_what_it_says() -> None:
    """Every name in `headrace.__all__` is there and public; every public name is in it."""
    (init,) = (tree for name, tree in trees("headrace") if name == "headrace/__init__.py")
    imported = {
        alias.asname or alias.name
        for node in init.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    missing = [name for name in headrace.__all__ if not hasattr(headrace, name)]
    private = [name for name in headrace.__all__ if name.startswith("_")]

    assert not missing, f"headrace.__all__ names {missing}, which headrace has not; remove them"
    assert not private, f"headrace.__all__ exports {private}; private names stay inside"
    assert imported == set(headrace.__all__), "headrace/__init__.py: import what __all__ names"


def test_every_command_is_told_of() -> None:
    """A command nobody can read about is not there."""
    pages = "\n".join(text for _, text in texts(".md"))
    names = list(commands(typer.main.get_command(command_line)))
    assert "model train" in names
    report(
        f"headrace/cli: expected `headrace {name}` in README.md or docs/, found nothing; say there "
        "what it is for"
        for name in names
        if not re.search(rf"headrace {re.escape(name)}\b", pages)
    )


def test_decisions_are_numbered_and_indexed() -> None:
    """ADRs count from 1 without gaps, open with their number, and stand in the index."""
    folder = ROOT / "docs" / "adr"
    files = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    index = (folder / "README.md").read_text()
    problems = []
    for number, path in enumerate(files, start=1):
        where = f"docs/adr/{path.name}"
        name = ADR_NAME.fullmatch(path.name)
        if name is None or int(name[1]) != number:
            problems.append(f"{where}: expected {number:04}-words.md; number without gaps")
        if not path.read_text().startswith(f"# {number}. "):
            problems.append(f"{where}: expected the title `# {number}. …`; write it")
        if f"]({path.name})" not in index:
            problems.append(f"{where}: expected a link in docs/adr/README.md, found none; add it")
    report(problems)


def test_every_setting_is_documented_with_its_default() -> None:
    """docs/settings.md has a row a field, and no row without a field."""
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = dict(re.findall(r"^\| `(HEADRACE_\w+)` \| ([^|]+) \|", page, re.MULTILINE))
    fields = {f"{ENV_PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items()}
    problems = [
        f"docs/settings.md: {name}: expected the default {wanted}, found "
        f"{rows.get(name, 'no row')!r}; correct the row"
        for name, field in fields.items()
        if (wanted := default_words(field)) is not None and rows.get(name, "").strip() != wanted
    ]
    problems += [
        f"docs/settings.md: {name}: expected a row, found none; add it"
        for name in fields.keys() - rows.keys()
    ]
    problems += [
        f"docs/settings.md: {name}: there is no such setting; remove it"
        for name in set(re.findall(r"HEADRACE_[A-Z_]+[A-Z]", page))
        - fields.keys()
        - FOREIGN_VARIABLES
    ]
    report(problems)


def test_the_file_map_shows_what_is_there() -> None:
    """Each folder at the top and each package of the engine is mapped, and each on the map is."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    section = text.partition("## File map\n")[2].partition("\n## ")[0]
    mapped = {
        entry.rstrip("/") for entry in re.findall(r"^(?:- )?`([^`]+)`", section, re.MULTILINE)
    }
    parts = [Path(name).parts for name in tracked() if not name.startswith(".")]
    expected = {part[0] for part in parts if len(part) > 1}
    expected |= {"/".join(part[:2]) for part in parts if part[0] == "headrace" and len(part) > 2}
    problems = [
        f"docs/ARCHITECTURE.md: expected `{folder}/` in its file map, found none; say what is in it"
        for folder in sorted(expected - mapped)
    ]
    problems += [
        f"docs/ARCHITECTURE.md: `{path}` is on the map, but not there; remove or rename it"
        for path in sorted(mapped)
        if not (ROOT / path).exists()
    ]
    report(problems)


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link names a file of the repository."""
    report(
        f"{name}: expected a file {link}, found none; correct the link"
        for name, text in texts(".md")
        for link in LINK.findall(text)
        if not (ROOT / name).parent.joinpath(link).exists()
    )


def report(problems: Iterator[str] | list[str]) -> None:
    """Fail with all problems, one a line."""
    lines = list(problems)
    assert not lines, "\n".join(["not tidy:", *lines])


def names() -> Iterator[tuple[str, str]]:
    """Yield place and name of every module, class and function of ours, but for the tests' own."""
    for name in tracked():
        if name.split("/")[0] in CODE:
            yield name, Path(name).name.split(".")[0]
    for name, tree in trees(*PACKAGES, "benchmarks"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.lineno}", node.name


def words(name: str) -> set[str]:
    """Return the words of a name, in lower case and singular."""
    text = snake(name)
    for term in TRADE_WORDS:
        text = text.replace(term, "")
    return {word.removesuffix("s") for word in text.split("_")}


def snake(name: str) -> str:
    """Return a class's name as a file is named."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def catch_alls(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    """Yield the handlers of every exception: bare, Exception, BaseException."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            caught = {kind.id for kind in kinds if isinstance(kind, ast.Name)}
            if node.type is None or caught & {"Exception", "BaseException"}:
                yield node


def named_types(avro: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the records and enums in an Avro type, its own first."""
    if isinstance(avro, list):
        for branch in avro:
            yield from named_types(branch)
    elif isinstance(avro, dict):
        if "name" in avro:
            yield avro
        for field in avro.get("fields", ()):
            yield from named_types(field["type"])
        yield from named_types(avro.get("items"))


def leaf_types(avro: Any) -> set[str]:
    """Return what a field holds in the end, null aside: inside unions and arrays."""
    if isinstance(avro, list):
        return set().union(*map(leaf_types, avro)) - {"null"}
    if isinstance(avro, dict):
        return leaf_types(avro["items"] if avro["type"] == "array" else avro["type"])
    return {avro}


def field_problems(field: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a field of a schema."""
    found = leaf_types(field["type"])
    if not field.get("doc"):
        yield "expected a doc, found none; say its unit and what it means"
    if field["name"].endswith("_ns") and found != {"long"}:
        yield f"expected long (UTC nanoseconds), found {sorted(found)}; a double loses nanoseconds"
    if field["name"].endswith(("_ticks", "_lots", "_e8")) and found != {"long"}:
        yield f"expected long (a scaled integer), found {sorted(found)}; money is never a float"


def topologies() -> Iterator[Topology]:
    """Yield the project's topologies."""
    for path in sorted((ROOT / "topologies").glob("*.py")):
        found = getattr(importlib.import_module(f"topologies.{path.stem}"), "TOPOLOGY", None)
        if isinstance(found, Topology):
            yield found


def commands(command: Any, before: str = "") -> Iterator[str]:
    """Yield every command a person can type, after the program's own name."""
    if not hasattr(command, "list_commands"):
        yield before.strip()
        return
    for name in command.list_commands(None):
        yield from commands(command.get_command(None, name), f"{before} {name}")


def default_words(field: Any) -> str | None:
    """Return a setting's default as the page words it; None if it is worked out."""
    if field.default_factory is not None:
        return None
    return "none" if field.default is None else f"`{field.default}`"
