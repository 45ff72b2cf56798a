"""A feed on real servers, in the test driver and in a backtest gives the same bytes.

One recording in the ordinary tests; all of them in `make test-parity`, which prints what was
compared.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from headrace.servers import Endpoints, Servers
from headrace.settings import Settings
from schemas import topics
from tests.integration.three_ways import Rows, ThreeWays, differences, run_three_ways

pytestmark = pytest.mark.long

RECORDING = "spot_ethusdt_20240808.gz"
"""One source of one instrument: within a partition of any topic there is one stream."""

BEHIND_THE_LOOP = (topics.VENUE_ORDER, topics.VENUE_REPORT)

HEADING = "| files | frames | topics | records | unlike the driver | topics unlike the backtest |"


@contextmanager
def fresh_servers(folder: Path) -> Iterator[Endpoints]:
    settings = Settings.load(home=folder / "servers", kafka=None, postgres=None, redis=None)
    with Servers(settings) as servers:
        yield servers.endpoints


@pytest.fixture(scope="module")
def ways(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ThreeWays:
    folder = tmp_path_factory.mktemp("parity")
    feed = f"capture:{shared_data / 'binance' / RECORDING}"
    with fresh_servers(folder) as found:
        return run_three_ways("trading", feed, folder, found)


def test_topics_that_are_a_function_of_the_input_are_the_same_bytes(ways: ThreeWays) -> None:
    """Live, in the driver and in a backtest; keys and headers too where records can be had."""
    assert {topics.FRAME.name, topics.FEATURE.name, topics.ORDER_REQUEST.name} <= {*ways.same}
    assert sum(len(log) for log in ways.live[topics.ORDER_REQUEST.name].values()) > 100
    assert ways.unlike_driver() == {}
    assert ways.unlike_backtest() == []


def test_another_key_value_or_header_or_one_less_is_a_difference() -> None:
    """The comparison would tell."""
    log = {0: [(b"k", b"v", ()), (b"k", b"w", ())], 3: [(b"k", b"x", [("h", b"1")])]}

    assert differences(log, {**log}) == 0
    assert differences(log, {**log, 3: [(b"k", b"x", [("h", b"2")])]}) == 1
    assert differences(log, {**log, 3: [(b"l", b"x", [("h", b"1")])]}) == 1
    assert differences(log, {0: log[0][:1]}) == 2
    assert differences({0: log[0][::-1]}, {0: log[0]}) == 2


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_all_recorded_files_give_the_same_bytes_three_ways(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A day goes on where the day before ended: files of one market are one feed."""
    markets = markets_of(shared_data / "binance")
    unlike: dict[str, Any] = {}

    with capsys.disabled():
        sys.stdout.write(f"\n{HEADING}\n{'|---' * 6}|\n")
    for market, files in markets.items():
        folder = tmp_path / market
        folder.mkdir()
        feed = f"capture:{','.join(str(path) for path in files)}"
        with fresh_servers(folder) as found:
            ways = run_three_ways("trading", feed, folder, found)
        by_driver, by_backtest = ways.unlike_driver(), ways.unlike_backtest()
        unlike |= {market: (by_driver, by_backtest)} if by_driver or by_backtest else {}
        names = ", ".join(path.stem for path in files)
        figures = (
            *(ways.report["frames"]["sent"], len(ways.same), ways.records()),
            *(sum(by_driver.values()), len(by_backtest)),
        )
        with capsys.disabled():
            sys.stdout.write(f"| {names} | {' | '.join(f'{n:,}' for n in figures)} |\n")
            sys.stdout.flush()

    assert sum(len(files) for files in markets.values()) == 8
    assert unlike == {}


def markets_of(folder: Path) -> Mapping[str, Sequence[Path]]:
    """Return the recordings of a folder by their market, those of a market by their date."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(folder.glob("*.gz")):
        found[path.stem.rpartition("_")[0]].append(path)
    return found


def test_an_order_that_both_runs_sent_is_the_same_order(ways: ThreeWays) -> None:
    """Which requests are approved hangs on when risk hears of fills: live later than here."""
    live, local = (orders_of(rows) for rows in rows_behind_the_loop(ways))

    common = live.keys() & local.keys()
    assert common
    assert [name for name in common if live[name] != local[name]] == []


def test_orders_before_the_first_that_differs_are_answered_alike(ways: ThreeWays) -> None:
    """The paper venue answers by the quotes, and by what earlier orders took of them."""
    live, local = rows_behind_the_loop(ways)

    both = zip(orders_of(live), orders_of(local), strict=False)
    pairs = takewhile(lambda pair: pair[0] == pair[1], both)
    alike = [name for name, _ in pairs]
    assert alike
    for name in alike:
        assert reports_of(live, name) == reports_of(local, name)


def rows_behind_the_loop(ways: ThreeWays) -> tuple[Rows, Rows]:
    """Return the rows of the live run and of the driver."""
    live = {topic.name: ways.live_rows(topic) for topic in BEHIND_THE_LOOP}
    return live, {topic.name: ways.driver_rows(topic.name) for topic in BEHIND_THE_LOOP}


def orders_of(rows: Rows) -> dict[str, Mapping[str, Any]]:
    """Return the orders sent, by id, in order: all are of one instrument."""
    return {row["client_order_id"]: row for row in rows[topics.VENUE_ORDER.name]}


def reports_of(rows: Rows, order: str) -> list[Mapping[str, Any]]:
    """Return the venue's reports of an order, in order."""
    return [row for row in rows[topics.VENUE_REPORT.name] if row["client_order_id"] == order]
