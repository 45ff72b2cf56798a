"""A topology drawn: as Mermaid, as SVG, or as the data behind both."""

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

from headrace.topology import Topology

COLUMN_PX = 250
ROW_PX = 58
BOX_PX = (180, 40)
MARGIN_PX = 24

FILLS = {
    "feed": "#d8f3dc",
    "operator": "#f8d7da",
    "step": "#cfe2ff",
    "topic": "#ffffff",
    "gateway": "#e2d9f3",
    "sink": "#ffe5d0",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A box of the graph; `kind` is one of `FILLS`, `note` its schema, key, state or words."""

    name: str
    kind: str
    note: str = ""


def nodes_and_edges(topology: Topology) -> tuple[dict[str, Node], list[tuple[str, str]]]:
    """Return the boxes by id and the arrows between ids, in flow order."""
    source = topology.source.topic.name
    nodes = {"feed": Node("feed", "feed")}
    for topic in topology.topics:
        nodes[f"topic:{topic.name}"] = Node(
            topic.name, "topic", f"{topic.schema} by {'/'.join(topic.key)}"
        )
    edges = [("feed", f"topic:{source}")]
    for step in topology.steps:
        note = "" if step.table is None else f"state {step.table.name}"
        nodes[f"step:{step.name}"] = Node(step.name, "step", note)
        edges += [(f"topic:{topic.name}", f"step:{step.name}") for topic in step.reads]
        edges += [(f"step:{step.name}", f"topic:{topic.name}") for topic in step.writes]
    if topology.controls:
        said = ", ".join(control.name for control in topology.controls)
        nodes["operator"] = Node("operator", "operator", said)
        heard = {f"topic:{control.topic.name}": None for control in topology.controls}
        edges += [("operator", topic) for topic in heard]
    for gateway in topology.gateways:
        name = f"gateway:{gateway.name}"
        nodes[name] = Node(gateway.name, "gateway", "leaves Kafka")
        edges += [(f"topic:{topic.name}", name) for topic in gateway.reads]
        edges += [(name, f"topic:{topic.name}") for topic in gateway.writes]
    for sink in topology.sinks:
        nodes[f"sink:{sink.name}"] = Node(sink.name, "sink", f"{len(sink.reads)} topics")
    return nodes, edges


def as_json(topology: Topology) -> str:
    """Return the graph as data."""
    nodes, edges = nodes_and_edges(topology)
    return json.dumps(
        {
            "topology": topology.name,
            "nodes": [
                {"id": i, "name": n.name, "kind": n.kind, "note": n.note} for i, n in nodes.items()
            ],
            "edges": edges,
            "sinks": {s.name: [topic.name for topic in s.reads] for s in topology.sinks},
        },
        indent=2,
    )


def as_mermaid(topology: Topology) -> str:
    """Return the graph as a Mermaid flowchart."""
    nodes, edges = nodes_and_edges(topology)
    numbers = {name: f"n{number}" for number, name in enumerate(nodes)}
    shapes = {
        "feed": ("([", "])"),
        "operator": ("([", "])"),
        "step": ("[", "]"),
        "topic": ("[/", "/]"),
        "gateway": ("{{", "}}"),
        "sink": ("[(", ")]"),
    }
    lines = ["flowchart LR"]
    for name, node in nodes.items():
        left, right = shapes[node.kind]
        text = f"{node.name}<br/><small>{node.note}</small>" if node.note else node.name
        lines.append(f'  {numbers[name]}{left}"{text}"{right}')
    lines += [f"  {numbers[start]} --> {numbers[end]}" for start, end in edges]
    return "\n".join(lines)


def as_svg(topology: Topology) -> str:
    """Return the graph as an SVG picture: columns by distance from the feed."""
    nodes, edges = nodes_and_edges(topology)
    places = _places(list(nodes), edges)
    width = MARGIN_PX * 2 + COLUMN_PX * (1 + max(column for column, _ in places.values()))
    height = MARGIN_PX * 2 + ROW_PX * (1 + max(row for _, row in places.values()))
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="12">'
        ),
        f"<title>{escape(topology.name)}</title>",
        (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>'
        ),
    ]
    parts += [_arrow(places[start], places[end]) for start, end in edges]
    parts += [_box(node, *places[name]) for name, node in nodes.items()]
    return "\n".join([*parts, "</svg>"])


def _places(names: list[str], edges: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Return column and row of each node; an arrow back (a cycle) moves nothing."""
    columns = {names[0]: 0}
    for start, end in edges:
        columns.setdefault(end, columns.get(start, 0) + 1)
    last = max(columns.values()) + 1
    rows: dict[int, int] = {}
    places = {}
    for name in names:
        column = columns.get(name, last if name.startswith("sink:") else 0)
        places[name] = (column, rows.get(column, 0))
        rows[column] = rows.get(column, 0) + 1
    return places


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return MARGIN_PX + place[0] * COLUMN_PX, MARGIN_PX + place[1] * ROW_PX


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    from_x, from_y = _corner(start)
    to_x, to_y = _corner(end)
    half = BOX_PX[1] // 2
    left, right = from_x + BOX_PX[0], to_x
    bend = max(40, abs(right - left) // 2)
    return (
        f'<path d="M{left} {from_y + half} C{left + bend} {from_y + half} '
        f'{right - bend} {to_y + half} {right} {to_y + half}" fill="none" stroke="#666" '
        'marker-end="url(#tip)"/>'
    )


def _box(node: Node, column: int, row: int) -> str:
    x, y = _corner((column, row))
    width, height = BOX_PX
    return (
        f'<g><title>{escape(node.note)}</title><rect x="{x}" y="{y}" width="{width}" '
        f'height="{height}" rx="{18 if node.kind == "topic" else 4}" fill="{FILLS[node.kind]}" '
        f'stroke="#444"/><text x="{x + width // 2}" y="{y + 17}" text-anchor="middle">'
        f'{escape(node.name)}</text><text x="{x + width // 2}" y="{y + 32}" font-size="8" '
        f'fill="#555" text-anchor="middle">{escape(node.note)}</text></g>'
    )
