"""What a feed remembers of where it was, and how soon it stops."""

from headrace.runtime.feed_writer import note_positions, position_key, rest_until


def test_the_last_position_of_each_source_of_the_feed_counts() -> None:
    found: dict[str, int] = {}
    mine, other = position_key("mine", "a"), position_key("other", "a")

    note_positions(
        [mine, other, mine, position_key("mine", "b")], [b"1", b"9", b"2", b"3"], "mine", found
    )

    assert found == {"a": 2, "b": 3}


def test_a_record_that_is_no_position_is_passed_over() -> None:
    found: dict[str, int] = {}
    good = position_key("mine", "a")
    keys = [None, good, b"no", b"[]", b'["mine"]', b'["mine", 1]', good, good, good]
    values = [b"1", None, b"1", b"1", b"1", b"1", b"no", b"1.5", b"7"]

    note_positions(keys, values, "mine", found)

    assert found == {"a": 7}


def test_a_long_wait_ends_when_there_is_reason_to_stop() -> None:
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    rest_until(should_stop, 3_600)

    assert asked == 2


def test_a_wait_ends_by_itself() -> None:
    rest_until(lambda: False, 0.001)
