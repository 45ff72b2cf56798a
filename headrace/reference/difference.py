"""What has to be written so that a partition of a reference topic holds the rows of its table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """Keys whose row is new or another, and keys whose row is gone; both ascending."""

    changed: list[bytes]
    removed: list[bytes]

    def __bool__(self) -> bool:
        """Say whether there is anything to write."""
        return bool(self.changed or self.removed)


def difference(
    rows: Mapping[bytes, bytes], written: Mapping[bytes, bytes], refused: Collection[bytes] = ()
) -> Difference:
    """Return how the rows of a table differ from what was written last, each by key as bytes.

    What was written for a key whose row is `refused` stays: it is neither known to be right nor
    known to be gone.
    """
    changed = [key for key, value in rows.items() if written.get(key) != value]
    removed = written.keys() - rows.keys() - set(refused)
    return Difference(sorted(changed), sorted(removed))
