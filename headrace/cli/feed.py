"""`headrace feed`: write a feed's frames to Kafka; one pod."""

import signal
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from typing import Annotated

import msgspec
import typer

from headrace import limits
from headrace.cli.connect import connected
from headrace.cli.logs import log_to_stderr
from headrace.cli.options import HERE, FeedText, ProjectFolder, Repeat, Speed, Symbols, TopologyName
from headrace.feed import FeedOptions
from headrace.pace import parse_speed
from headrace.project import Project
from headrace.settings import Settings

PROGRESS_S = 0.5

app = typer.Typer(add_completion=False)


@app.command("feed")
def feed(
    topology: TopologyName,
    feed: FeedText = None,
    symbols: Symbols = None,
    speed: Speed = "1",
    repeat: Repeat = 1,
    fused: Annotated[
        bool, typer.Option(help="Whether the workers whose lag is watched run fused steps.")
    ] = True,
    project: ProjectFolder = HERE,
) -> None:
    """Write a feed's frames to Kafka, going on where an earlier run of the same feed ended.

    Prints its progress as JSON lines.
    """
    from headrace.runtime.assemble import Choice, ensure_topics, load_codecs, open_registry
    from headrace.runtime.feed_writer import FeedWriter
    from headrace.up.lag import LagWatch, lane_groups

    log_to_stderr()
    settings = Settings.load()
    found = Project(Path(project))
    chosen = found.topology(topology)
    options = FeedOptions(frozenset(symbols or ()), repeat)
    source = chosen.source.open(feed or chosen.source.defaults[-1], options)
    with connected(
        settings, only=frozenset({"kafka"}), patience_s=limits.SERVERS_WAIT_S_MAX
    ) as endpoints:
        stop = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        ensure_topics(chosen, endpoints.kafka)
        registry = open_registry(settings, endpoints.kafka)
        codec = load_codecs(found, registry, [chosen.source.topic])[chosen.source.topic.name]
        watch = LagWatch(endpoints.kafka, lane_groups(chosen, Choice(fuse=fused)))
        writer = FeedWriter(
            source, codec, endpoints.kafka, speed=parse_speed(speed), backlog=watch.worst
        )
        ended = Event()

        def tell() -> None:
            while not ended.wait(PROGRESS_S):
                _print(writer.progress)

        Thread(target=tell, daemon=True).start()
        writer.run(stop.is_set)
        ended.set()
        _print(writer.progress)


def _print(progress: object) -> None:
    sys.stdout.write(msgspec.json.encode(asdict(progress)).decode() + "\n")  # type: ignore[call-overload]
    sys.stdout.flush()
