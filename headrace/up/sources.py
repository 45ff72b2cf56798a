"""Which files of a project have changed since somebody last asked."""

from collections.abc import Iterable
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Self

from watchfiles import watch

FOLDERS = ("agents", "topologies", "schemas", "models")
"""What of a project a worker runs."""

STILL_MS = 300
"""A burst of saves is over once nothing has changed for so long: editors write a file in parts."""

BURST_MS_MAX = 3_000
"""A folder that never rests is told of all the same."""

PATHS_MAX = 1_000
"""Changed files remembered by name; that there are more changes nothing."""

STOP_TIMEOUT_S = 5.0


class SourceWatch:
    """Watches the folders of a project in a thread, while the context is open."""

    def __init__(self, project: Path) -> None:
        self._folders = [project / name for name in FOLDERS if (project / name).is_dir()]
        self._project = project
        self._lock = Lock()
        self._changed: set[str] = set()
        self._stop = Event()
        self._thread = Thread(target=self._listen, name="source-watch", daemon=True)

    def __enter__(self) -> Self:
        """Start watching."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join(STOP_TIMEOUT_S)

    def take(self) -> list[str]:
        """Return the files that changed since the last call, relative to the project."""
        with self._lock:
            found, self._changed = sorted(self._changed), set()
        return found

    def note(self, paths: Iterable[str]) -> None:
        """Remember that these files have changed."""
        with self._lock:
            for path in paths:
                if len(self._changed) < PATHS_MAX:
                    self._changed.add(str(Path(path).relative_to(self._project)))

    def _listen(self) -> None:
        """Note what changes, a burst at a time; what editors and Python leave behind does not."""
        bursts = watch(
            *self._folders,
            step=STILL_MS,
            debounce=BURST_MS_MAX,
            stop_event=self._stop,
            raise_interrupt=False,
        )
        for burst in bursts:
            self.note(path for _, path in burst)
