"""What a client repeats is said now and then, with how often it was not."""

from headrace.kafka.client_log import AGAIN_S, TEXTS_MAX, Repeats


def test_a_text_is_kept_back_for_a_while_and_counted() -> None:
    repeats = Repeats()

    said = [repeats.count("down", at_s) for at_s in (0.0, 0.1, AGAIN_S - 0.1, AGAIN_S, 2 * AGAIN_S)]

    assert said == [0, None, None, 2, 0]


def test_another_text_is_said_at_once() -> None:
    repeats = Repeats()
    repeats.count("down", 0.0)

    assert repeats.count("refused", 0.1) == 0


def test_texts_are_remembered_up_to_a_limit() -> None:
    repeats = Repeats()
    for number in range(TEXTS_MAX + 1):
        repeats.count(f"text {number}", 0.0)

    assert repeats.count("text 0", 0.1) == 0
