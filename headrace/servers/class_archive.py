"""What a JVM learned of Kafka's classes in a rehearsal: with it a broker starts at half the cost.

Java's ahead-of-time cache (JEP 483, 514, 515): classes loaded and linked, and how their methods
were called.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from headrace.servers.jars import java_program, kafka_folder

ARCHIVES_MAX = 4
"""Kept in one cache, the newest: each is some 70 MB, for one JDK and one Kafka."""

_PREFIX = "classes-"
_QUIET = ("-Xlog:aot*=off", "-Xlog:cds*=off")
"""What it cannot keep, or not use, is told by class; either way the broker runs."""


class ClassArchive:
    """The archive of our JDK's and these jars' classes; it may not be there."""

    def __init__(self, cache: Path, jars: Sequence[Path]) -> None:
        self._folder = kafka_folder(cache)
        self.path = self._folder / f"{_PREFIX}{_key(jars)}.aot"

    def options(self) -> tuple[str, ...]:
        """Return what a JVM is told to use it: nothing if it is not there.

        A JVM that finds it was made for another than itself goes on without it.
        """
        return (f"-XX:AOTCache={self.path}", *_QUIET) if self.path.is_file() else ()

    def add(self, made: Path) -> None:
        """Put an archive that was made elsewhere in place, whole; forget the oldest of others."""
        # `made` may lie on another disk, and another rehearsal may end just now.
        with NamedTemporaryFile(dir=self._folder, suffix=".new", delete=False) as new:
            new.write(made.read_bytes())
        Path(new.name).replace(self.path)
        kept = sorted(self._folder.glob(f"{_PREFIX}*.aot"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-ARCHIVES_MAX]:
            old.unlink(missing_ok=True)


def recording(notes: Path) -> tuple[str, ...]:
    """Return what a JVM is told to note in a file, at its end, what it did with its classes."""
    return ("-XX:AOTMode=record", f"-XX:AOTConfiguration={notes}", *_QUIET)


def making(notes: Path, archive: Path) -> tuple[str, ...]:
    """Return what a JVM is told to make an archive of such notes, and do nothing else."""
    notes_option = f"-XX:AOTConfiguration={notes}"
    return ("-XX:AOTMode=create", notes_option, f"-XX:AOTCache={archive}", *_QUIET)


def _key(jars: Sequence[Path]) -> str:
    """Return a name for what the JVM itself holds an archive against."""
    digest = hashlib.sha256()
    for file in (java_program().parent.parent / "lib" / "modules", *jars):
        found = file.stat()
        digest.update(f"{file.name} {found.st_size} {found.st_mtime_ns}\n".encode())
    digest.update(":".join(map(str, jars)).encode())
    return digest.hexdigest()[:16]
