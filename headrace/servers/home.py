"""One folder of embedded servers: who holds it, what it remembers, what in it is moved aside."""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psutil
import structlog

from headrace.errors import UsageError

_log = structlog.get_logger(__name__)

# The kernel's boot time, which process start times are counted from, is corrected by NTP.
_SAME_PROCESS_S = 2.0
_REAP_TIMEOUT_S = 10.0
_PID_MAX = 2**31 - 1


class Home:
    """The folder, held by one process at a time.

    The lock is `flock` on `headrace.lock`: the kernel drops it with its holder, however that ends,
    so it is never stale; the text in the file only says who holds, or held, it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._record_path = path / "servers.json"
        self._record_lock = threading.Lock()

    @contextlib.contextmanager
    def held(self) -> Iterator["Home"]:
        """Hold the folder while the context lasts, making it if need be.

        Raises:  UsageError if another process holds it, or it cannot be written.
        """
        try:
            # Passable, not listed: PostgreSQL may serve as another account than ours.
            self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
            lock = (self.path / "headrace.lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"HEADRACE_HOME={self.path}: cannot be written ({error.strerror}); choose another"
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(self._held_by(lock)) from None
            self._take_over(lock)
            try:
                yield self
            finally:
                lock.truncate(0)

    def folder(self, name: str, mode: int = 0o700) -> Path:
        """Return a folder of the home, making it (for us alone) if need be."""
        path = self.path / name
        path.mkdir(mode=mode, exist_ok=True)
        return path

    def password(self, name: str) -> tuple[str, bool]:
        """Return the password of an embedded server, and whether it was made just now.

        It guards loopback ports against other users of the machine; readable by its owner only.
        """
        path = self.folder(name) / "password"
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text(encoding="ascii").strip():
                return text, False
        text = secrets.token_urlsafe(24)
        _write(path, text)
        return text, True

    def remembered(self, name: str) -> dict[str, Any]:
        """Return what is remembered of a server: its ports and its last process."""
        with self._record_lock:
            entry = self._read_record().get(name)
        return entry if isinstance(entry, dict) else {}

    def remember(self, name: str, **facts: object) -> None:
        """Remember facts of a server across runs."""
        with self._record_lock:
            record = self._read_record()
            entry = record.get(name)
            record[name] = (entry if isinstance(entry, dict) else {}) | facts
            _write(self._record_path, json.dumps(record, indent=1))

    def reap(self, name: str) -> None:
        """End the last run's process of that server, if it outlived its parent."""
        last = self.remembered(name)
        process = _process(last.get("pid"), last.get("started"))
        if process is None:
            return
        _log.warning("server_left_behind", server=name, pid=process.pid, action="killed")
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait(timeout=_REAP_TIMEOUT_S)

    def move_aside(self, path: Path, why: str) -> Path:
        """Rename what cannot be used, so that nothing of it is lost; return its new name."""
        aside = _aside(path)
        path.rename(aside)
        _log.warning("moved_aside", path=str(path), to=str(aside), why=why)
        return aside

    def copy_aside(self, path: Path, why: str) -> Path:
        """Copy a file that is about to be mended; return the copy."""
        aside = _aside(path)
        shutil.copyfile(path, aside)
        _log.warning("copied_aside", path=str(path), to=str(aside), why=why)
        return aside

    def _read_record(self) -> dict[str, Any]:
        try:
            record = json.loads(self._record_path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            self.move_aside(self._record_path, "it is not JSON")
            return {}
        return record if isinstance(record, dict) else {}

    def _held_by(self, lock: IO[str]) -> str:
        found = _read_holder(lock)
        what = f"HEADRACE_HOME={self.path}: expected a free home"
        if _process(found.get("pid"), found.get("started")) is None:
            # The text is written just after the lock is taken; or a fork kept the lock open.
            who = "another process, which has not said its name"
        else:
            who = f"pid {found['pid']} ({found.get('command')}) since {found.get('since')}"
        return f"{what}, found it held by {who}; stop that, or set HEADRACE_HOME to another folder"

    def _take_over(self, lock: IO[str]) -> None:
        if found := _read_holder(lock):
            pid = found.get("pid")
            alive = isinstance(pid, int) and psutil.pid_exists(pid)
            why = "its pid now belongs to another program" if alive else "it is gone"
            _log.warning("stale_lock_taken_over", home=str(self.path), last_holder=pid, why=why)
        lock.truncate(0)
        holder = {
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "command": Path(sys.argv[0]).name,  # no arguments: they may hold a secret
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        lock.write(json.dumps(holder))
        lock.flush()


def _aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    return path.with_name(f"{path.name}.broken-{stamp}")


def _read_holder(lock: IO[str]) -> dict[str, Any]:
    lock.seek(0)
    text = lock.read()
    try:
        found = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        found = {"pid": None}
    return found if isinstance(found, dict) else {"pid": None}


def _process(pid: object, started: object) -> psutil.Process | None:
    """Return the process of that pid if it is the one that started then."""
    is_pid = isinstance(pid, int) and 0 < pid <= _PID_MAX
    if not isinstance(pid, int) or not is_pid or not isinstance(started, int | float):
        return None
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < _SAME_PROCESS_S
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def _write(path: Path, text: str) -> None:
    """Write a small file whole or not at all, readable by its owner only."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
