"""What is remembered of the signals acted on, and what happens beyond the written limits."""

from agents.trading.pages import SectionCodec
from agents.trading.signals import STRATEGIES_MAX, STREAMS_MAX, SignalLog, Standing


def restarted(log: SignalLog) -> SignalLog:
    codec = SectionCodec[SignalLog](lambda _: SignalLog())
    pages = {page: value for page, value in codec.dump(log).items() if value is not None}
    return codec.load("paper", pages)


def test_signal_at_or_below_the_last_is_a_repeat_for_ever() -> None:
    log = SignalLog()
    log.note("stream", "direction", 5, 100)

    later = restarted(log)

    assert later.judge("stream", "direction", 5, 100) is Standing.REPEATED
    assert later.judge("stream", "direction", 4, 999) is Standing.REPEATED
    assert later.judge("stream", "direction", 6, 101) is Standing.NEW
    assert later.judge("stream", "other", 1, 1) is Standing.NEW
    assert later.judge("elsewhere", "direction", 1, 1) is Standing.NEW


def test_beyond_the_limit_the_stream_furthest_behind_is_forgotten_for_good() -> None:
    log = SignalLog()
    for number in range(STREAMS_MAX + 1):
        log.note(f"stream {number}", "direction", 7, 1_000 + number)

    later = restarted(log)

    assert later.judge("stream 0", "direction", 7, 1_000) is Standing.FORGOTTEN
    assert later.judge("stream 0", "direction", 8, 1_001) is Standing.NEW
    assert later.judge("stream 1", "direction", 7, 1_001) is Standing.REPEATED
    assert later.judge("new and early", "direction", 1, 999) is Standing.FORGOTTEN
    assert later.forgotten_ns == 1_000


def test_a_stream_holds_so_many_strategies_and_refuses_one_more() -> None:
    log = SignalLog()
    for number in range(STRATEGIES_MAX):
        log.note("stream", f"strategy {number}", 1, 1)

    assert log.judge("stream", "one more", 2, 2) is Standing.CROWDED
    assert log.judge("stream", "strategy 0", 2, 2) is Standing.NEW


def test_clock_of_a_stream_never_runs_backwards() -> None:
    log = SignalLog()
    log.note("stream", "direction", 1, 100)

    log.advance("stream", 300)
    log.note("stream", "direction", 2, 200)
    log.advance("unknown", 900)

    assert (log.clock_ns("stream"), log.clock_ns("unknown")) == (300, 0)
