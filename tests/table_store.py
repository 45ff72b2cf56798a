"""A store as the engine keeps it, in a dict: what a table's state is restored from in tests."""

from collections.abc import MutableMapping
from typing import Any


def keep_changes(store: MutableMapping[Any, bytes], state: Any) -> None:
    """Write what changed in a table's state; only what was written may be deleted."""
    for page, value in state.changes().items():
        if value is None:
            del store[page]
        else:
            store[page] = value
