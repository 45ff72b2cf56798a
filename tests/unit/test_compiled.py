"""What numba keeps on disk is not used once a module it was made of has changed."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "projects" / "counting"

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


def test_a_command_compiles_what_the_steps_of_a_topology_call(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = ["compile", "counting", f"--project={PROJECT}", "--feed=numbers:3"]

    subprocess.run(
        [sys.executable, "-m", "headrace", *command], check=True, env=environment, timeout=120
    )

    kept = {path.name.split("-")[0].split(".")[0] for path in tmp_path.rglob("*.nbi")}
    reading = {"batch_kernels", "crc_kernel", "lz4_kernel", "read_kernel"}
    assert reading | {"partitioner", "write_kernel"} <= kept
