"""The paper exchange as a process of its own, on the loopback, with its database in a folder."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from gateways.rest_venue import RestVenue
from headrace.up.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
KEY = "test-key"
SECRET = "a-secret-of-tests-only"  # noqa: S105  (of a server on the loopback, for a minute)
START_TIMEOUT_S = 180.0


class ExchangeProcess:
    """Runs the exchange while the context is open; it can be killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = free_port()
        self.database = folder / "exchange.sqlite"
        self.log = folder / "exchange.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start it."""
        self.start(*self._options)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.kill()

    def start(self, *options: str) -> None:
        """Start it with these options, on the same port and database, and wait until it answers."""
        command = [sys.executable, "-m", "gateways.paper_exchange", "--port", str(self.port)]
        command += ["--database", str(self.database), *options]
        environment = os.environ | {
            "HEADRACE_VENUE_KEY": KEY,
            "HEADRACE_VENUE_SECRET": SECRET,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            try:
                httpx.get(f"{self.url}/health", timeout=1.0).raise_for_status()
            except httpx.HTTPError:
                assert self._process.poll() is None, self.log.read_text()
                time.sleep(0.05)
            else:
                return
        self.kill()
        raise TimeoutError(f"the exchange did not answer:\n{self.log.read_text()}")

    def kill(self) -> None:
        """End it as a power failure does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    def client(self, *, secret: str = SECRET) -> RestVenue:
        """Return a client of it."""
        return RestVenue(self.url, key=SecretStr(KEY), secret=SecretStr(secret))

    def orders(self) -> dict[str, bool]:
        """Return by id whether an order exists; False is an id that was blocked."""
        with sqlite3.connect(self.database) as database:
            found = database.execute("SELECT id, content IS NOT NULL FROM orders").fetchall()
        database.close()
        return {identity: bool(exists) for identity, exists in found}

    def placements_max(self) -> int:
        """Return how often the order was placed that was placed most often."""
        with sqlite3.connect(self.database) as database:
            rows = database.execute("SELECT placements FROM orders").fetchall()
        database.close()
        return max((placements for (placements,) in rows), default=0)

    def reports(self) -> dict[str, list[str]]:
        """Return the kinds of the reports of each order, in order."""
        with sqlite3.connect(self.database) as database:
            rows = database.execute("SELECT body FROM report ORDER BY id, sequence").fetchall()
        database.close()
        found: dict[str, list[str]] = {}
        for (body,) in rows:
            report = json.loads(body)
            found.setdefault(report["client_order_id"], []).append(report["kind"])
        return found
