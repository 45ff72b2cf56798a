"""A call of the client's that does not come back is noticed."""

from threading import Event, Thread, get_ident

import pytest

from headrace.kafka import calls
from headrace.kafka.calls import must_return, overdue

WAIT_S = 10


def test_a_call_is_overdue_once_it_should_have_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "GRACE_S", 0.0)
    entered, may_return = Event(), Event()

    def call() -> None:
        with must_return("commit", 0.0):
            entered.set()
            assert may_return.wait(WAIT_S)

    thread = Thread(target=call)
    thread.start()
    assert entered.wait(WAIT_S)
    assert thread.ident is not None
    found = overdue(thread.ident)
    may_return.set()
    thread.join(WAIT_S)

    assert found == "commit"
    assert overdue(thread.ident) is None


def test_a_call_in_time_is_not() -> None:
    with must_return("commit", 60.0):
        assert overdue(get_ident()) is None


def test_a_call_that_fails_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "GRACE_S", 0.0)
    with pytest.raises(ValueError, match="refused"), must_return("commit", 0.0):
        raise ValueError("refused")

    assert overdue(get_ident()) is None
