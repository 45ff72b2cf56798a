"""Samples a run's tree of processes: memory, handles and threads of each by its name."""

from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.soak_figures import Process

DATA_FOLDERS = ("/kafka/data/", "/postgres/", "/state/")
GONE = " (deleted)"
PARTS = ("--step=", "--sink=", "--gateway=")
COMMANDS = ("up", "feed")


def name_of(command: Sequence[str]) -> str:
    """Return what a process of a run is called, by its command line; empty if it is none of ours.

    PostgreSQL's processes have one name: they come and go.
    """
    words = " ".join(command)
    if "headrace" in command:
        for option in PARTS:
            names = [w.removeprefix(option) for w in command if w.startswith(option)]
            if names:
                kind = "" if option == PARTS[0] else option.strip("-=") + "-"
                return kind + "+".join(names)
        return next((word for word in command if word in COMMANDS), "")
    if "kafka.Kafka" in words:
        return "kafka"
    if "redis-server" in words:
        return "redis"
    return "postgres" if "postgres" in words else ""


def sample_tree(root: psutil.Process) -> dict[str, Process]:
    """Return each named process of a tree; those that end meanwhile are left out."""
    found: dict[str, Process] = {}
    # By age, not by number: those come round, and a group's first process tells a restart.
    for process in sorted([root, *root.children(recursive=True)], key=lambda p: p.create_time()):
        try:
            name = name_of(process.cmdline())
            if name:
                alone = _sample(process)
                found[name] = _joined(found[name], alone) if name in found else alone
        except (psutil.NoSuchProcess, ProcessLookupError, FileNotFoundError):
            continue
    return found


def _sample(process: psutil.Process) -> Process:
    resident_mb = process.memory_info().rss / 2**20
    try:
        private_mb = process.memory_full_info().uss / 2**20
    except psutil.AccessDenied:
        private_mb = resident_mb
    opened = _opened(process)
    data_files = sum(map(is_data_file, opened))
    return Process(
        round(private_mb, 2),
        round(resident_mb, 2),
        len(opened) - data_files,
        data_files,
        process.num_threads(),
        (process.pid,),
    )


def is_data_file(path: str) -> bool:
    """Say whether a descriptor leads to a file that keeps data; a deleted one keeps none."""
    return any(folder in path for folder in DATA_FOLDERS) and not path.endswith(GONE)


def _opened(process: psutil.Process) -> list[str]:
    """Return what each file descriptor of a process leads to; empty text for one just closed."""
    folder = Path(f"/proc/{process.pid}/fd")
    if not folder.is_dir():  # no Linux: only their number is known
        return [""] * process.num_fds()
    paths = []
    for entry in folder.iterdir():
        try:
            paths.append(str(entry.readlink()))
        except FileNotFoundError:
            paths.append("")
    return paths


def _joined(one: Process, other: Process) -> Process:
    return Process(
        one.private_mb + other.private_mb,
        one.resident_mb + other.resident_mb,
        one.handles + other.handles,
        one.data_files + other.data_files,
        one.threads + other.threads,
        one.pids + other.pids,
    )
