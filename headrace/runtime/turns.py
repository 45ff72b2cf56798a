"""When a lane may read on, and for how long nothing of what it read has been processed."""

from threading import Condition
from time import monotonic

from headrace import limits


class Turns:
    """Work that was read and is not processed yet.

    Nearer the end of the log the next read waits until all of it is processed: what comes meanwhile
    gathers. A lane that is behind reads ahead.
    """

    def __init__(self) -> None:
        """Begin with nothing in progress."""
        self._changed = Condition()
        self._in_progress = 0
        self._in_progress_max = 1
        self._progressed_at_s = 0.0

    def wait(self, timeout_s: float) -> bool:
        """Wait until more may be read; say whether it may."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._in_progress < self._in_progress_max, timeout_s
            )

    def begin(self, *, is_behind: bool) -> None:
        """Note that something was read, and whether more waits behind it."""
        with self._changed:
            if not self._in_progress:
                self._progressed_at_s = monotonic()
            self._in_progress += 1
            self._in_progress_max = limits.CHANNEL_BATCHES_MAX if is_behind else 1

    def end(self) -> None:
        """Note that the oldest of it is processed."""
        with self._changed:
            self._in_progress -= 1
            self._progressed_at_s = monotonic()
            self._changed.notify()

    @property
    def stuck_s(self) -> float:
        """Return for how long none has ended though there is one; 0 if there is none.

        It may have been lost on its way to the processing thread, which then is not busy.
        """
        return monotonic() - self._progressed_at_s if self._in_progress else 0.0
