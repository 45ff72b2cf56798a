"""Functions compiled by numba and kept on disk until any source they are made of changes."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*made_of: ModuleType) -> Callable[[Function], Function]:
    """Compile a function that runs without the interpreter's lock, and keep the result on disk.

    `made_of` are the modules it takes compiled functions or constants from. Numba looks for changes
    in the function's own file only: what it has kept would go on with the old layout of the others,
    and kernels that take addresses would read the wrong memory.
    """
    stamps = tuple(_stamp(module) for module in made_of)

    def decorate(function: Function) -> Function:
        dispatcher = numba.njit(cache=True, nogil=True)(function)
        kept = dispatcher._cache._cache_file  # noqa: SLF001  (there is no public way to say it)
        kept._source_stamp = (kept._source_stamp, *stamps)  # noqa: SLF001
        return dispatcher  # type: ignore[no-any-return]  # numba has no types

    return decorate


def _stamp(module: ModuleType) -> tuple[float, int]:
    """Return what numba takes of a source to tell whether it has changed."""
    found = Path(module.__file__ or "").stat()
    return found.st_mtime, found.st_size
