"""Which steps share a task."""

from headrace import Output, Step, Topic
from headrace.runtime.chain import fused, topics_aside

FRAME = Topic("s.frame.v1", "frame.v1", key=("stream",))
TRADE = Topic("s.trade.v1", "trade.v1", key=("stream",))
QUOTE = Topic("s.quote.v1", "quote.v1", key=("stream",))
BY_ACCOUNT = Topic("s.order.v1", "order.v1", key=("account",))
WORD = Topic("s.word.v1", "word.v1", key=("account",), spoken=True)
ROWS = Topic("s.row.v1", "row.v1", key=("account",), cleanup="compact", reference=True)


def nothing(_batch: object) -> Output:
    return Output()


def names(*steps: Step) -> list[list[str]]:
    return [[step.name for step in run] for run in fused(steps)]


def test_steps_that_read_each_other_by_one_key_share_a_task() -> None:
    first = Step("first", nothing, reads=(FRAME,), writes=(TRADE,))
    second = Step("second", nothing, reads=(TRADE,), writes=(BY_ACCOUNT,))
    third = Step("third", nothing, reads=(BY_ACCOUNT,))

    assert names(first, second, third) == [["first", "second"], ["third"]]


def test_a_step_that_merges_reads_from_the_log() -> None:
    """What it holds back would have no offset to be read again from."""
    first = Step("first", nothing, reads=(FRAME,), writes=(TRADE, QUOTE))
    merge = Step("merge", nothing, reads=(TRADE, QUOTE), merge=("stream",), writes=(BY_ACCOUNT,))

    assert names(first, merge) == [["first"], ["merge"]]


def test_a_step_that_reads_something_else_begins_a_run() -> None:
    first = Step("first", nothing, reads=(FRAME,), writes=(TRADE,))
    other = Step("other", nothing, reads=(QUOTE,))

    assert names(first, other) == [["first"], ["other"]]


def test_what_says_what_holds_is_read_before_the_stream() -> None:
    """A halt that was said while nobody had a task comes before the orders that waited."""
    risk = Step("risk", nothing, reads=(WORD, BY_ACCOUNT), writes=(TRADE,))
    named = Step("named", nothing, reads=(TRADE, ROWS))

    assert topics_aside([risk, named]) == [WORD.name, ROWS.name]
