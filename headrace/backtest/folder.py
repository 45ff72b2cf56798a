"""The files of a backtest: its report as data and as a page, its orders, what differs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet

from headrace.backtest.compare import ORDERS, REPORT
from headrace.backtest.page import page
from headrace.backtest.run import Backtest

PAGE = "report.html"
COMPARED = "compare.json"


def write_folder(folder: Path, found: Backtest, report: Mapping[str, Any]) -> list[Path]:
    """Write what a backtest came to; return the files.

    Orders are there if the topology's ledger names a topic that holds them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    ledger = found.topology.ledger
    orders: list[Mapping[str, Any]] = []
    if found.book is not None and ledger is not None and ledger.orders is not None:
        table = found.book.table()
        orders = table.slice(max(0, table.num_rows - 1_000)).to_pylist()
        pyarrow.parquet.write_table(table, folder / ORDERS)
        pyarrow.csv.write_csv(table, folder / "orders.csv")
        written += [folder / ORDERS, folder / "orders.csv"]
    (folder / PAGE).write_text(page(report, ledger, orders))
    # Last: a folder with a report is whole.
    (folder / REPORT).write_text(json.dumps(report, indent=2))
    return [*written, folder / PAGE, folder / REPORT]
