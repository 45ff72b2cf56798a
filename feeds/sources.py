"""The files a person names, grouped into sources: what one connection recorded over days."""

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from feeds import limits
from headrace.errors import FeedError

_DATE = re.compile(r"[_-](\d{8})(?:[_-](\d{8}))?$", re.ASCII)
_PACKINGS = (".gz", ".zst")
_SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".log", ".parquet", ".raw", ".txt")


@dataclass(frozen=True, slots=True)
class Source:
    """Files that follow one another, in date order, under the name their frames carry."""

    name: str
    files: tuple[Path, ...]


def find_files(texts: str, *, kind: str, suffixes: Collection[str] | None = None) -> list[Path]:
    """Return the files of a comma- or `os.pathsep`-separated list; a directory gives all its own.

    Hidden files, documents (`.md`) and, where `suffixes` are given, files without one of them are
    passed over in directories.
    Raises:  FeedError if a path does not exist or holds no file.
    """
    found: dict[Path, None] = {}
    names = [name.strip() for name in re.split(f"[,{re.escape(os.pathsep)}]", texts)]
    for name in filter(None, names):
        path = path_of(name, kind=kind)
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if _is_wanted(file, suffixes))
            if not inside:
                wanted = f"files ({', '.join(sorted(suffixes))})" if suffixes else "files"
                raise FeedError(
                    f"feed {kind}:{name}: expected {wanted} in the directory {path}, found none; "
                    "name the files themselves or another directory"
                )
            found.update(dict.fromkeys(inside))
        elif path.is_file():
            found[path] = None
        else:
            raise FeedError(
                f"feed {kind}:{name}: expected a file or a directory at {path}, found "
                f"{'a special file' if path.exists() else 'nothing'}; check the path "
                f"(the working directory is {Path.cwd()})"
            )
    if not found:
        raise FeedError(f"feed {kind}: expected {kind}:PATH[,PATH…], found no path; add one")
    return list(found)


def path_of(name: str, *, kind: str) -> Path:
    """Return the absolute path of a name a person typed.

    Raises:  FeedError if no file can have that name.
    """
    try:
        path = Path(name).expanduser().resolve()
        path.exists()
    except (ValueError, RuntimeError, OSError) as error:  # NUL, no such home, a loop, too long
        cause = error.strerror if isinstance(error, OSError) else str(error)
        raise FeedError(
            f"feed {kind}:{name[:80]!r}: expected a path, found {cause}; check the name"
        ) from error
    return path


def _is_wanted(file: Path, suffixes: Collection[str] | None) -> bool:
    if not file.is_file() or file.name.startswith(".") or file.suffix == ".md":
        return False
    return suffixes is None or file.name.lower().endswith(tuple(suffixes))


def group_sources(files: Sequence[Path], *, kind: str) -> list[Source]:
    """Return the sources of these files by name; the name is the same at every run.

    It is the file's stem without suffixes and date, with as many parent directories before it as
    make it unique. Files of one directory that differ in the date only follow one another.
    Raises:  FeedError if there are more than `limits.SOURCES_MAX`.
    """
    grouped: dict[tuple[Path, str], list[tuple[str, Path]]] = defaultdict(list)
    for file in files:
        stem, date = _stem_and_date(file.name)
        grouped[file.parent, stem].append((date, file))
    named: list[tuple[Path, str, tuple[Path, ...]]] = []
    for (parent, stem), dated in grouped.items():
        dates = [date for date, _ in dated]
        if len(set(dates)) == len(dates):
            named.append((parent, stem, tuple(file for _, file in sorted(dated))))
        else:
            named.extend((parent, file.name, (file,)) for _, file in dated)
    if len(named) > limits.SOURCES_MAX:
        raise FeedError(
            f"feed {kind}: expected at most {limits.SOURCES_MAX} sources, found {len(named)}; "
            "name fewer files (SOURCES_MAX in feeds/limits.py says why)"
        )
    names = _unique_names([(parent, stem) for parent, stem, _ in named])
    return sorted(
        (Source(name, paths) for name, (_, _, paths) in zip(names, named, strict=True)),
        key=lambda source: source.name,
    )


def _stem_and_date(file_name: str) -> tuple[str, str]:
    stem = file_name
    for packing in _PACKINGS:
        stem = stem.removesuffix(packing)
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix)
    match = _DATE.search(stem)
    return (stem[: match.start()], match[0]) if match and match.start() else (stem, "")


def _unique_names(places: list[tuple[Path, str]]) -> list[str]:
    """Return each stem, preceded by parents while two of them are the same."""
    names = [stem for _, stem in places]
    depth_max = max(len(parent.parts) for parent, _ in places)
    for depth in range(1, depth_max):
        if len(set(names)) == len(names):
            break
        taken = {name for name in names if names.count(name) > 1}
        names = [
            "/".join((*parent.parts[-depth:], stem)) if name in taken else name
            for name, (parent, stem) in zip(names, places, strict=True)
        ]
    return names


def identity_of(kind: str, sources: Sequence[Source], choices: str) -> str:
    """Return what names this input at each run: its files with their sizes, and what was chosen."""
    lines = [
        f"{source.name}\t{file}\t{file.stat().st_size}"
        for source in sources
        for file in source.files
    ]
    digest = hashlib.sha256("\n".join([*lines, choices]).encode()).hexdigest()[:16]
    return f"{kind}:{len(lines)}-files:{digest}"
