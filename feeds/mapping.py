"""How the columns of a table become quotes or trades: a small TOML file, or the columns' names."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.errors import FeedError

NS_BY_UNIT = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_QUOTE_FIELDS = ("ts", "symbol", "bid", "bid_size", "ask", "ask_size")
_TRADE_FIELDS = ("ts", "symbol", "price", "size", "side")
_OPTIONAL_FIELDS = ("side",)
_SIZE_DEFAULT = "1"
_KEYS = frozenset(("market", "ts_unit", "columns", "constants"))


@dataclass(frozen=True, slots=True)
class TableMapping:
    """Where each field of a quote or trade comes from: a column, or a constant text.

    Time columns count `ts_unit` since the epoch, UTC. Sizes that come from nowhere are "1".
    """

    columns: dict[str, str]
    constants: dict[str, str] = field(default_factory=dict)
    ts_unit: str = "ns"
    market: str = "table"

    @property
    def is_trade(self) -> bool:
        """Tell trades from quotes: a trade has a price."""
        return "price" in self.columns

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the fields of one record."""
        return _TRADE_FIELDS if self.is_trade else _QUOTE_FIELDS


def read_mapping(path: Path) -> TableMapping:
    """Return the mapping in a TOML file.

    Raises:  FeedError if it cannot be read, has unknown names, or leaves a field unmapped.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FeedError(
            f"feed table: mapping {path}: expected a TOML file, found {error.strerror}; "
            "docs/feeds.md shows one"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FeedError(
            f"feed table: mapping {path}: expected TOML, found {error}; docs/feeds.md shows one"
        ) from error
    unknown = sorted(content.keys() - _KEYS)
    if unknown:
        raise _mapping_error(path, f"keys of {', '.join(sorted(_KEYS))}", ", ".join(unknown))
    mapping = TableMapping(
        _texts(path, content, "columns"),
        _texts(path, content, "constants"),
        str(content.get("ts_unit", "ns")),
        str(content.get("market", "table")),
    )
    return _checked(path, mapping)


def guess_mapping(path: Path, names: Collection[str]) -> TableMapping:
    """Return the mapping of a table whose columns have the fields' own names, ts with its unit.

    `ts_utc_us,symbol,bid,ask` is such a table: its time is in microseconds, its sizes are "1".
    Raises:  FeedError if the names do not tell.
    """
    times = {f"{stem}_{unit}": unit for stem in ("ts_utc", "ts") for unit in NS_BY_UNIT}
    ts = next((name for name in names if name in times), None)
    kind = _TRADE_FIELDS if "price" in names else _QUOTE_FIELDS
    columns = {name: name for name in kind if name in names}
    needed = {"symbol", "price"} if "price" in names else {"symbol", "bid", "ask"}
    if ts is None or not needed <= columns.keys():
        raise FeedError(
            f"feed table: {path}: expected the columns ts_utc_us (or _ns, _ms, _s), symbol and "
            f"bid, ask or price, size; found {', '.join(names) or 'none'}; "
            "name the columns in a mapping: table:PATH?map=FILE.toml (docs/feeds.md)"
        )
    return _checked(path, TableMapping(columns | {"ts": ts}, ts_unit=times[ts]))


def _checked(path: Path, mapping: TableMapping) -> TableMapping:
    constants = {name: _SIZE_DEFAULT for name in mapping.fields if name.endswith("size")}
    constants |= mapping.constants
    given = mapping.columns.keys() | constants.keys()
    unknown = sorted(given - set(mapping.fields))
    missing = [name for name in mapping.fields if name not in given | set(_OPTIONAL_FIELDS)]
    if unknown:
        raise _mapping_error(path, f"fields of {', '.join(mapping.fields)}", ", ".join(unknown))
    if missing or "ts" not in mapping.columns:
        raise _mapping_error(path, f"all of {', '.join(mapping.fields)}", f"no {missing or 'ts'}")
    if mapping.ts_unit not in NS_BY_UNIT:
        raise _mapping_error(path, f"ts_unit of {', '.join(NS_BY_UNIT)}", repr(mapping.ts_unit))
    constants = {name: text for name, text in constants.items() if name not in mapping.columns}
    return TableMapping(mapping.columns, constants, mapping.ts_unit, mapping.market)


def _texts(path: Path, content: dict[str, Any], key: str) -> dict[str, str]:
    table = content.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(text, str) for text in table.values()):
        raise _mapping_error(path, f"[{key}] with texts", repr(table))
    return table


def _mapping_error(path: Path, expected: str, found: str) -> FeedError:
    return FeedError(
        f"feed table: mapping of {path}: expected {expected}; found {found}; "
        "docs/feeds.md shows one"
    )
