"""Any text in any dialect: nothing raises, and every frame has exactly one outcome."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ingest_frames import MARKET_BY_SOURCE
from agents.venues import READERS
from tests.examples import examples
from tests.replay.frame_batches import Frame, ingest, numbered, rows_of

VENUES = st.sampled_from(sorted(READERS))

SAMPLES = [
    '{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"}}',
    (
        '{"stream":"btcusdt@depth","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,'
        '"b":[["1","2"]],"a":[["3","4"]]}}'
    ),
    '{"lastUpdateId":5,"bids":[["1","2"]],"asks":[["3","4"]]}',
    '{"type":"l2update","product_id":"A-B","changes":[["buy","1","2"]],"time":"2021-04-17T16:43:37Z"}',
    '{"type":"snapshot","product_id":"A-B","bids":[["1","2"]],"asks":[["3","4"]]}',
    (
        '{"channel":"l2_data","timestamp":"2023-02-09T20:32:50.7Z","sequence_num":0,"events":[{"type":'
        '"snapshot","product_id":"A","updates":[{"side":"bid","price_level":"1","new_quantity":"2"}]}]}'
    ),
    '[1,{"a":[["1","2","3.5"]]},{"b":[["1","2","3.5"]],"c":"9"},"book-10","A/B"]',
    '[1,{"as":[["3","2","3.5"]],"bs":[["1","2","3.5"]]},"book-10","A/B"]',
    (
        '{"channel":"book","type":"snapshot","data":[{"symbol":"A/B","bids":[{"price":1,"qty":2}],'
        '"asks":[],"checksum":7}]}'
    ),
    (
        '{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[["1","2","0","1"]],'
        '"bids":[],"ts":"5","checksum":-7,"seqId":5,"prevSeqId":4}]}'
    ),
    '{"arg":{"channel":"trades","instId":"A-B"},"data":[{"px":"1","sz":"2","side":"buy","ts":"3"}]}',
    (
        '{"data":{"microtimestamp":"5","bids":[["1","2"]],"asks":[]},"channel":"order_book_ab",'
        '"event":"data"}'
    ),
    '{"topic":"orderbook.50.AB","type":"delta","data":{"s":"AB","b":[["1","2"]],"a":[],"u":5}}',
    '{"topic":"publicTrade.AB","data":[{"s":"AB","p":"1","v":"2","S":"Buy","T":5,"i":"9"}]}',
    '{"type":"trade","instrument":"sim:A","price":"1","size":"2","side":null}',
]

NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.sampled_from(["1", "0", "-1", "1e400", "1e-400", "NaN", "Infinity", "0.123456789012", ""]),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=4),
    ),
    max_leaves=10,
)


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """Return a good frame with one value replaced, a piece cut out, or its end cut off."""
    text = draw(st.sampled_from(SAMPLES))
    way = draw(st.sampled_from(["value", "cut", "end", "same"]))
    if way == "cut":
        start = draw(st.integers(0, len(text) - 1))
        return text[:start] + text[start + draw(st.integers(1, 9)) :]
    if way == "end":
        return text[: draw(st.integers(0, len(text)))]
    if way == "value":
        return json.dumps(_replaced(json.loads(text), draw))
    return text


def _replaced(value: Any, draw: st.DrawFn) -> Any:
    """Return the JSON with one of its parts, at any depth, replaced by any other JSON."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    keys: Any = list(value) if isinstance(value, dict) else range(len(value))
    key = draw(st.sampled_from(keys))
    value[key] = _replaced(value[key], draw)
    return value


PAYLOADS = st.one_of(
    spoiled(),
    st.text(max_size=40),
    JSON.map(json.dumps),
    st.binary(max_size=30).map(lambda raw: raw.decode(errors="backslashreplace")),
)


@settings(max_examples=examples(500), deadline=None)
@given(frames=st.lists(st.tuples(VENUES, PAYLOADS), min_size=1, max_size=8))
def test_any_text_has_one_outcome_and_dead_frames_have_a_dead_letter(
    frames: list[tuple[str, str]],
) -> None:
    output = ingest(
        [
            Frame(payload, sequence, sequence, venue=venue)
            for sequence, (venue, payload) in enumerate(frames, start=1)
        ]
    )

    dead = {name: count for name, count in output.counts.items() if "_dead_" in name}
    assert sum(dead.values()) == len(output.dead)
    assert {f"frame_dead_{row.cause}" for row in output.dead} == set(dead)
    assert all(row.detail for row in output.dead)


@settings(max_examples=examples(150), deadline=None)
@given(
    frames=st.lists(st.tuples(VENUES, PAYLOADS), min_size=1, max_size=12),
    cuts=st.sets(st.integers(1, 11), max_size=3),
)
def test_outputs_of_odd_frames_do_not_depend_on_the_cut_into_batches(
    frames: list[tuple[str, str]], cuts: set[int]
) -> None:
    """A source a venue, each batch's state written down and read again."""
    numbered_frames = [
        Frame(payload, sequence, sequence, source=venue, venue=venue)
        for sequence, (venue, payload) in enumerate(frames, start=1)
    ]
    whole = ingest(numbered_frames)

    pages: dict[tuple[str, int], bytes] = {}
    parts = []
    borders = [0, *sorted(cut for cut in cuts if cut < len(frames)), len(frames)]
    for start, end in pairwise(borders):
        state = MARKET_BY_SOURCE.open()
        state.restore(pages)
        parts.append(ingest(numbered_frames[start:end], state))
        for page, value in state.changes().items():
            if value is None:
                del pages[page]
            else:
                pages[page] = value

    for topic in ("trade", "quote", "book", "instrument"):
        assert rows_of(whole, topic) == [row for part in parts for row in rows_of(part, topic)]
    assert whole.counts == sum((Counter(part.counts) for part in parts), Counter())


def test_every_sample_is_read_by_its_venue() -> None:
    """The samples are good frames: what the fuzz spoils had a meaning before."""
    for sample in SAMPLES:
        outcomes = [ingest(numbered([sample], venue=venue)).dead for venue in READERS]
        read = [dead for dead in outcomes if not dead]
        alone = [row for dead in outcomes for row in dead if row.cause.startswith("snapshot_with")]
        assert read or alone, sample
