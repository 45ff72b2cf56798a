"""A backtest's report as one HTML page that needs nothing else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from headrace.backtest.plots import FALL, bars, curve, falls
from headrace.topology import Ledger

ORDERS_SHOWN = 200

STYLE = """
body { font: 14px/1.45 sans-serif; color: #222; background: #fff; margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { padding: .15rem .7rem .15rem 0; text-align: left;
  border-bottom: 1px solid #eee; vertical-align: top } td.n { text-align: right;
  font-variant-numeric: tabular-nums } svg { max-width: 100%; height: auto; display: block;
  margin: .5rem 0 } .note { color: #666 } .wide { overflow-x: auto }
"""

Report = Mapping[str, Any]


def page(report: Report, ledger: Ledger | None, orders: Sequence[Mapping[str, Any]]) -> str:
    """Return the page; `orders` are the rows of the order list, of which the last are shown."""
    name = f"Backtest of {report['topology']}"
    parts = [f"<h1>{escape(name)}</h1>", _table(summary(report))]
    if "ledger" in report:
        parts += _profits(report["ledger"])
    if ledger is not None and ledger.predictions is not None:
        parts += _predictions(report, ledger)
    parts += _dead_letters(report)
    if "ledger" in report and "orders" in report["ledger"]:
        parts += _orders(report["ledger"], orders)
    parts += _general(report)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(name)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def summary(report: Report) -> list[tuple[str, Any]]:
    """Return the figures a person looks at first, with their names."""
    rows: list[tuple[str, Any]] = [
        ("feed", report["feed"]["name"]),
        ("frames", report["frames"]),
        ("market time, s", _span_s(report)),
        ("took, s", report["elapsed_s"]),
        ("frames a second", report["frames_a_second"]),
        ("dead letters", sum(letter["count"] for letter in report["dead_letters"])),
    ]
    figures = report.get("ledger", {})
    known = [name for name in ("orders", "fills", "fill_ratio") if name in figures]
    rows += [(name.replace("_", " "), figures[name]) for name in known]
    if "hit_rate" in figures:
        rows.append(("hit rate", figures["hit_rate"]["rate"]))
    for name in ("turnover", "fees"):
        rows += [(f"{name}, {unit}", value) for unit, value in figures.get(name, {}).items()]
    for unit, profit in figures.get("profit", {}).items():
        rows += [(f"PnL, {unit}", profit["last"]), (f"drawdown, {unit}", profit["drawdown_max"])]
    return rows


def _span_s(report: Report) -> float | None:
    first_ms, last_ms = report["first_time_ms"], report["last_time_ms"]
    return None if first_ms is None or last_ms is None else (last_ms - first_ms) / 1_000


def _profits(figures: Mapping[str, Any]) -> list[str]:
    parts = []
    for unit, profit in figures.get("profit", {}).items():
        parts.append(f"<h2>PnL in {escape(unit)}</h2>")
        parts.append(f'<p class="note">{escape(figures["profit_says"])}</p>')
        parts.append(curve(f"PnL, {unit}", profit["curve"]))
        parts.append(curve(f"Below its highest, {unit}", falls(profit["curve"]), FALL))
    if "hit_rate" in figures:
        rate = figures["hit_rate"]
        names = ("rate", "hits", "misses", "unmoved", "unknown")
        parts.append("<h2>Hit rate</h2>")
        parts.append(f'<p class="note">{escape(rate["definition"])}</p>')
        parts.append(_table([(name, rate[name]) for name in names]))
    if "fill_ratio" in figures:
        parts.append(
            '<p class="note">The fill ratio is the share of orders with at least one fill; '
            "turnover is what fills were worth.</p>"
        )
    return parts


def _predictions(report: Report, ledger: Ledger) -> list[str]:
    if ledger.predictions is None:
        return []
    topic, fields = ledger.predictions
    known = report["distributions"].get(topic.name, {})
    found = [(name, known[name]) for name in fields if "histogram" in known.get(name, {})]
    if not found:
        return []
    return [
        f"<h2>Predictions ({escape(topic.name)})</h2>",
        *(bars(name, one["histogram"]["edges"], one["histogram"]["counts"]) for name, one in found),
    ]


def _dead_letters(report: Report) -> list[str]:
    if not report["dead_letters"]:
        return ['<h2>Dead letters</h2><p class="note">None.</p>']
    rows = [
        (one["topic"], one["step"], one["cause"], one["count"], "; ".join(one["examples"]))
        for one in report["dead_letters"]
    ]
    return ["<h2>Dead letters</h2>", _table(rows, ("topic", "step", "cause", "count", "the first"))]


def _orders(figures: Mapping[str, Any], orders: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = orders[-ORDERS_SHOWN:]
    told = f"The last {len(shown):,} of {figures['orders']:,}; all are in orders.csv."
    if figures["orders_not_listed"]:
        told = f"{told} {figures['orders_not_listed']:,} are counted, but not listed."
    if not shown:
        return ['<h2>Orders</h2><p class="note">None.</p>']
    rows = [tuple(order.values()) for order in shown]
    return [
        f'<h2>Orders</h2><p class="note">{escape(told)}</p>',
        _table(list(figures["orders_by_state"].items()), ("state", "orders")),
        _table(rows, tuple(shown[0])),
    ]


def _general(report: Report) -> list[str]:
    topics = [(name, one["records"], one["digest"]) for name, one in report["topics"].items()]
    steps = [(name, *one.values()) for name, one in report["steps"].items()]
    names = ("step", "records in", "records out", "dead letters", "busy, s")
    fields = [
        (topic, name, one["count"], one["mean"], one["min"], *one["quantiles"].values(), one["max"])
        for topic, fields in report["distributions"].items()
        for name, one in fields.items()
        if one["count"]
    ]
    heads = ("topic", "field", "count", "mean", "min", "1 %", "10 %", "50 %", "90 %", "99 %", "max")
    return [
        "<h2>Topics</h2>",
        _table(topics, ("topic", "records", "digest of the values")),
        "<h2>Steps</h2>",
        _table(steps, names),
        "<h2>Counters</h2>",
        _table(list(report["counts"].items()), ("counter", "records")),
        "<h2>Feed</h2>",
        _table([(name, str(value)) for name, value in report["feed"].items()]),
        '<h2>Numeric fields</h2><p class="note">Quantiles are of an even sample.</p>',
        _table(fields, heads),
    ]


def _table(rows: Iterable[Sequence[Any]], heads: Sequence[str] = ()) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f'<div class="wide"><table>{f"<tr>{head}</tr>" if head else ""}{body}</table></div>'


def _cell(value: Any) -> str:
    if value is None:
        return "<td>none</td>"
    if isinstance(value, int):
        return f'<td class="n">{value:,}</td>'
    if isinstance(value, float):
        return f'<td class="n">{value:,.6g}</td>'
    return f"<td>{escape(str(value))}</td>"
