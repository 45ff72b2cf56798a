"""Recorded lines as seeds, where the recordings are there; never needed, never committed."""

import gzip
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import zstandard

from tests.fuzz.target import ROOT

LINES_MAX = 1_500
FRAME_BYTES_MAX = 4_096
LEVELS_MAX = 25
"""Levels left of a recorded snapshot: enough for checksums, few enough to be spoiled quickly."""


def folder() -> Path:
    """Return where recorded market data is, if it is anywhere."""
    return Path(os.environ.get("HEADRACE_SHARED_DATA", ROOT.parent / "shared" / "data"))


def lines_of(name: str, count: int = LINES_MAX) -> list[bytes]:
    """Return the first lines of a recording, none if it is not there."""
    path = folder() / name
    if not path.is_file():
        return []
    if path.suffix == ".zst":
        with path.open("rb") as file:
            text = zstandard.ZstdDecompressor().stream_reader(file).read(count * 50)
        return text.splitlines()[:count]
    with gzip.open(path) as file:
        return [line.rstrip(b"\n") for line in islice(file, count)]


def frames_of(name: str) -> list[bytes]:
    """Return the frames of the first lines of a capture, long ones shortened."""
    return list(_frames(lines_of(name)))


def _frames(lines: list[bytes]) -> Iterator[bytes]:
    for line in lines:
        head, _, payload = line.partition(b" ")
        if not head.rstrip(b":").replace(b".", b"").isdigit():
            continue
        if len(payload) <= FRAME_BYTES_MAX:
            yield payload
        elif payload.startswith((b"{", b"[")):
            short = json.dumps(_shortened(json.loads(payload)), separators=(",", ":"))
            yield short.encode()


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shortened(inner) for inner in value[:LEVELS_MAX]]
    return value
