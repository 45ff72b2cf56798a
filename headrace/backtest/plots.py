"""Plots as inline SVG: a curve over time, bars of a histogram."""

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.sax.saxutils import escape

WIDTH_PX, HEIGHT_PX = 760, 200
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 84, 12, 24, 24

INK, GRID, CURVE, FALL = "#444", "#ddd", "#1f6fb2", "#b23b1f"

Point = tuple[int, float]


def curve(title: str, points: Sequence[Point], colour: str = CURVE) -> str:
    """Return values over time in UTC nanoseconds, in steps: a value holds until the next one."""
    if not points:
        return ""
    first_ns, last_ns = points[0][0], max(points[-1][0], points[0][0] + 1)
    values = [value for _, value in points]
    low, high = min(0.0, *values), max(0.0, *values)
    high = high if high > low else low + 1.0

    def place(point: Point) -> tuple[float, float]:
        across = (point[0] - first_ns) / (last_ns - first_ns)
        return _x(across), _y((point[1] - low) / (high - low))

    path = ["M{:.1f} {:.1f}".format(*place(points[0]))]
    path += ["H{:.1f} V{:.1f}".format(*place(point)) for point in points[1:]]
    drawn = f'<path d="{" ".join(path)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    labels = [
        _grid(0.0, f"{low:,.4g}"),
        _grid(1.0, f"{high:,.4g}"),
        _across(0.0, _clock(first_ns), "start"),
        _across(1.0, _clock(last_ns), "end"),
    ]
    if low < 0 < high:
        labels.append(_grid(-low / (high - low), "0"))
    return _picture(title, [*labels, drawn])


def falls(points: Sequence[Point]) -> list[Point]:
    """Return how far below its highest, 0 at first, a curve was at each of its points."""
    highest, found = 0.0, []
    for time_ns, value in points:
        highest = max(highest, value)
        found.append((time_ns, value - highest))
    return found


def bars(title: str, edges: Sequence[float], counts: Sequence[int]) -> str:
    """Return a histogram; `edges` are one more than `counts`."""
    most = max([*counts, 1])
    width = 1 / max(len(counts), 1)
    drawn = [
        f'<rect x="{_x(number * width):.1f}" y="{_y(count / most):.1f}" '
        f'width="{max(_x(width) - _x(0) - 1, 1):.1f}" height="{_y(0) - _y(count / most):.1f}" '
        f'fill="{CURVE}"><title>{edges[number]:.4g} to {edges[number + 1]:.4g}: {count:,}</title>'
        "</rect>"
        for number, count in enumerate(counts)
    ]
    labels = [
        _grid(1.0, f"{most:,}"),
        _across(0.0, f"{edges[0]:.4g}", "start"),
        _across(1.0, f"{edges[-1]:.4g}", "end"),
    ]
    return _picture(title, [*labels, *drawn])


def _x(across: float) -> float:
    return LEFT_PX + across * (WIDTH_PX - LEFT_PX - RIGHT_PX)


def _y(up: float) -> float:
    return HEIGHT_PX - BOTTOM_PX - up * (HEIGHT_PX - TOP_PX - BOTTOM_PX)


def _grid(up: float, text: str) -> str:
    return (
        f'<path d="M{LEFT_PX} {_y(up):.1f}H{WIDTH_PX - RIGHT_PX}" stroke="{GRID}"/>'
        f'<text x="{LEFT_PX - 6}" y="{_y(up) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    )


def _across(across: float, text: str, anchor: str) -> str:
    return (
        f'<text x="{_x(across):.1f}" y="{HEIGHT_PX - 6}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _clock(time_ns: int) -> str:
    seconds = min(max(time_ns // 1_000_000_000, 0), 253_402_300_799)  # the year 9999
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _picture(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        f'width="{WIDTH_PX}" font-family="sans-serif" font-size="11" fill="{INK}" role="img">'
        f'<title>{escape(title)}</title><text x="{LEFT_PX}" y="14" font-size="13">{escape(title)}'
        f"</text>{''.join(parts)}</svg>"
    )
