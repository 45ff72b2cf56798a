"""Order, numbering, repetition and resumption of recordings, for any frames in any files."""

import gzip
import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import open_feed
from headrace.feed import Feed, FeedOptions
from tests.examples import examples

Row: TypeAlias = tuple[str, int, int, int, int, str]

START_NS = 1_723_161_256_000_000_000
SECOND_NS = 10**9
TIMES = st.lists(st.integers(0, 30), min_size=1, max_size=60)
SOURCES = st.lists(TIMES, min_size=1, max_size=4)


def write(folder: Path, sources: list[list[int]]) -> str:
    for number, times in enumerate(sources):
        text = "".join(
            f'{START_NS + time} {{"stream":"s{number}@x","data":{place}}}\n'
            for place, time in enumerate(times)
        )
        (folder / f"s{number}.gz").write_bytes(gzip.compress(text.encode()))
    return f"capture:{folder}"


def rows_of(feed: Feed, resume_after: dict[str, int] | None = None) -> list[Row]:
    rows = [
        row
        for block in feed.blocks(resume_after or {})
        for row in zip(
            block.sources,
            block.sequences.tolist(),
            block.receive_times_ns.tolist(),
            block.time_shifts_ns.tolist(),
            block.pass_indexes.tolist(),
            block.payloads,
            strict=True,
        )
    ]
    assert feed.tally.lines_read == feed.tally.frames + sum(feed.counts.values())
    assert feed.tally.frames == len(rows)
    return rows


def expected_rows(sources: list[list[int]], repeat: int) -> list[Row]:
    """Sort plainly by (highest time so far, source, place), pass after pass."""
    every = [time for times in sources for time in times]
    span = (math.ceil((max(every) - min(every)) / SECOND_NS) + 1) * SECOND_NS
    rows: list[Row] = []
    for index in range(repeat):
        keyed = [
            (max(times[: place + 1]), number, place, times[place])
            for number, times in enumerate(sources)
            for place in range(len(times))
        ]
        rows += [
            (
                f"s{number}",
                1 + place + index * len(sources[number]),
                START_NS + time + index * span,
                index * span,
                index,
                f'{{"stream":"s{number}@x","data":{place}}}',
            )
            for _, number, place, time in sorted(keyed)
        ]
    return rows


@settings(max_examples=examples(60), deadline=None)
@given(sources=SOURCES, repeat=st.integers(1, 3))
def test_frames_come_in_the_order_of_a_plain_sort(sources: list[list[int]], repeat: int) -> None:
    with TemporaryDirectory() as folder:
        feed = open_feed(write(Path(folder), sources), FeedOptions(repeat=repeat))

        rows = rows_of(feed)

    assert rows == expected_rows(sources, repeat)


@settings(max_examples=examples(60), deadline=None)
@given(sources=SOURCES, repeat=st.integers(1, 3), data=st.data())
def test_a_resumed_feed_gives_exactly_what_was_missing(
    sources: list[list[int]], repeat: int, data: st.DataObject
) -> None:
    resume_after = {
        f"s{number}": data.draw(st.integers(0, len(times) * repeat))
        for number, times in enumerate(sources)
    }
    with TemporaryDirectory() as folder:
        text = write(Path(folder), sources)
        whole = rows_of(open_feed(text, FeedOptions(repeat=repeat)))
        feed = open_feed(text, FeedOptions(repeat=repeat))

        rows = rows_of(feed, resume_after)

    assert rows == [row for row in whole if row[1] > resume_after[row[0]]]
    assert feed.counts.get("already_ingested", 0) == len(whole) - len(rows)


@settings(max_examples=examples(200), deadline=None)
@given(noise=st.lists(st.binary(max_size=60), max_size=30), cut=st.booleans())
def test_every_line_of_any_bytes_is_a_frame_or_counted(noise: list[bytes], cut: bool) -> None:
    good = f'{START_NS} {{"stream":"a@b","data":1}}\n'.encode()
    content = good + b"\n".join(noise) + (b"" if cut else b"\n")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "x"
        file.write_bytes(content)
        feed = open_feed(f"capture:{file}", FeedOptions())

        rows = rows_of(feed)

    assert rows[0][5] == '{"stream":"a@b","data":1}'
    assert feed.tally.lines_read == content.count(b"\n") + (not content.endswith(b"\n"))
