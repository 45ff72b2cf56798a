"""Writes what a benchmark found: its section of the page, its figures as JSON, its picture."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page import with_section

ROOT = Path(__file__).resolve().parent.parent
BENCH_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
PAGE = ROOT / "docs" / "benchmarks.md"
FOLDER = ROOT / "docs" / "benchmarks"


def write(name: str, lines: Sequence[str], figures: Mapping[str, Any]) -> None:
    """Write all three; `figures` are those `benchmarks/bars.py` draws, and more."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n")
    bars = Path(__file__).with_name("bars.py")
    subprocess.run([BENCH_PYTHON, bars, path, FOLDER / f"{name}.png"], check=True)
    PAGE.write_text(with_section(PAGE.read_text(), name, lines))
    say(f"written to {PAGE}")


def say(text: str) -> None:
    """Tell the person at the terminal how far it is."""
    print(text, file=sys.stderr, flush=True)
