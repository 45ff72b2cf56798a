"""State of models that learn as they go: river's objects in an agent's table.

river writes its objects as pickles and in no other way, and a pickle may call anything. What is
read back here is made of classes that the table names, and of nothing else.
"""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import river

from headrace.errors import RecordError

S = TypeVar("S")

PLAIN = frozenset(
    {
        ("builtins", "tuple"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "deque"),
        ("functools", "partial"),
        ("random", "Random"),
    }
)
"""What river's models hold beside their own classes; none of it does anything by itself."""


class PickleCodec(Generic[S]):
    """One page an object, of the named classes only; written by one version of river for itself."""

    def __init__(self, new: Callable[[str], S], classes: frozenset[tuple[str, str]]) -> None:
        """Make objects with `new`; `classes` are (module, name) of all they are made of."""
        self._new = new
        self._classes = classes | PLAIN
        self._version = river.__version__.encode()
        self.layout = f"river {river.__version__}: {sorted(self._classes)}"

    def new(self, key: str) -> S:
        """Return the object of a key that was never seen."""
        return self._new(key)

    def dump(self, state: S) -> Mapping[int, bytes | None]:
        """Return the whole object as page 0, behind the version that wrote it."""
        return {0: self._version + b"\n" + pickle.dumps(state, protocol=5)}

    def load(self, key: str, pages: Mapping[int, bytes]) -> S:
        """Return the object that was dumped.

        Raises:  RecordError if another version of river wrote it, or it holds another class.
        """
        version, _, body = pages[0].partition(b"\n")
        if version != self._version:
            raise RecordError(
                f"{key}: expected state of river {river.__version__}, found "
                f"{version[:20].decode(errors='replace')}: install that, or raise the version in "
                "the table's name to learn anew"
            )
        found: S = _Reader(body, self._classes).load()
        return found


class _Reader(pickle.Unpickler):
    def __init__(self, body: bytes, classes: frozenset[tuple[str, str]]) -> None:
        super().__init__(io.BytesIO(body))
        self._classes = classes

    def find_class(self, module: str, name: str) -> object:
        """Return a class that is allowed."""
        if (module, name) not in self._classes:
            raise RecordError(f"expected classes of the table only, found {module}.{name}")
        return super().find_class(module, name)
