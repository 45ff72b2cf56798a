"""Folders that live as long as the process."""

import tempfile
from pathlib import Path

_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def new_folder() -> Path:
    """Return an empty folder."""
    _KEPT.append(tempfile.TemporaryDirectory(prefix="headrace-fuzz-"))
    return Path(_KEPT[-1].name)
