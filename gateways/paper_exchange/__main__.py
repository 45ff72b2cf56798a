"""`python -m gateways.paper_exchange`: run the exchange until a signal ends it."""

from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from agents.trading.paper_venue import PaperVenueRules
from gateways.paper_exchange.faults import FaultInjector, Faults
from gateways.paper_exchange.ledger import Ledger
from gateways.paper_exchange.server import Exchange
from gateways.settings import VenueSettings
from headrace.errors import UsageError

PORT_DEFAULT = 8_750


def main(
    port: Annotated[int, typer.Option(help="Port on the loopback.")] = PORT_DEFAULT,
    database: Annotated[Path, typer.Option(help="SQLite file; kept over restarts.")] = Path(
        ".headrace/paper_exchange.sqlite"
    ),
    faults: Annotated[str, typer.Option(help="name=chance[,…], as in docs/gateways.md.")] = "",
    seed: Annotated[int, typer.Option(help="Draws the same faults again.")] = 1,
    partial: Annotated[float, typer.Option(help="Part of the orders that is filled half.")] = 0.0,
    fill_delay_s: Annotated[float, typer.Option(help="From acknowledgement to fill.")] = 0.05,
) -> None:
    """Run the paper exchange; HEADRACE_VENUE_KEY and HEADRACE_VENUE_SECRET say who may trade."""
    try:
        settings = VenueSettings.load()
        injector = FaultInjector(Faults.parse(faults), seed)
    except UsageError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    database.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(database, rules=PaperVenueRules(), partial=partial, fill_delay_s=fill_delay_s)
    exchange = Exchange(ledger, injector, key=settings.key, secret=settings.secret)
    # aiohttp's access log would name every order once more; it never shows headers.
    web.run_app(exchange.app(), host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    typer.run(main)
