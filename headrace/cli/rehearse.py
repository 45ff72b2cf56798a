"""`headrace rehearse`: Kafka is started once, so that each later start is faster."""

from time import monotonic

import typer
from rich.console import Console

from headrace.cli.logs import log_to_file
from headrace.settings import Settings

app = typer.Typer(add_completion=False)


@app.command("rehearse")
def rehearse_servers() -> None:
    """Start an embedded Kafka for a moment and keep what its JVM learned of its classes.

    It is kept with Kafka's jars, in HEADRACE_CACHE; starting costs half the CPU from then on.
    """
    from headrace.rehearsal import rehearse

    settings = Settings.load()
    log_to_file(settings.home / "logs" / "rehearse.log")
    begun_s = monotonic()
    done = "rehearsed Kafka" if rehearse(settings) else "Kafka was rehearsed already"
    told = f"{done}, in {monotonic() - begun_s:.1f} s"
    Console(stderr=True).print(told, highlight=False, soft_wrap=True)
