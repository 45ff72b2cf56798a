"""Calls into the client that have to return, and when.

The client gives each of its calls a timeout, and has been seen to forget it: librdkafka 2.12's
`rd_kafka_send_offsets_to_transaction`, asked for 15 s just as the broker was killed, never came
back. A thread that is in there cannot be freed; who watches it can end the process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from time import monotonic

GRACE_S = 15.0
"""How much later than its own timeout a call may return: the machine may have stood still."""

_due_by_thread: dict[int, tuple[float, str]] = {}


@contextmanager
def must_return(what: str, timeout_s: float) -> Iterator[None]:
    """Note that this thread is in a call that ends by itself after so long."""
    _due_by_thread[get_ident()] = (monotonic() + timeout_s + GRACE_S, what)
    try:
        yield
    finally:
        del _due_by_thread[get_ident()]


def overdue(thread_id: int) -> str | None:
    """Return what call a thread is in that should have returned; None if there is none."""
    due_s, what = _due_by_thread.get(thread_id, (0.0, ""))
    return what if what and monotonic() > due_s else None
