"""What numba keeps on disk is not used once a module it was made of has changed."""

import subprocess
import sys
from pathlib import Path

KERNEL = """
import layout
from headrace.compiled import compiled

@compiled(layout)
def place(row):
    return row + layout.PLACE

print(place(1), sum(place.stats.cache_hits.values()))
"""


def run(folder: Path) -> list[str]:
    said = subprocess.run(
        [sys.executable, "-c", "import kernel"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return said.stdout.split()


def test_a_kernel_is_compiled_again_when_a_constant_of_another_module_changes(
    tmp_path: Path,
) -> None:
    (tmp_path / "kernel.py").write_text(KERNEL)
    (tmp_path / "layout.py").write_text("PLACE = 10\n")

    assert run(tmp_path) == ["11", "0"]
    assert run(tmp_path) == ["11", "1"]
    (tmp_path / "layout.py").write_text("PLACE = 200\n")
    assert run(tmp_path) == ["201", "0"]
