"""The paper exchange's order API: place, query, cancel, executions; every request signed."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

import msgspec
from aiohttp import web
from pydantic import SecretStr

from agents.trading.records import VenueOrder
from gateways import limits
from gateways.order_records import OrderBody
from gateways.paper_exchange.faults import FaultInjector, Handler
from gateways.paper_exchange.ledger import Ledger, Placed, Said
from gateways.signing import EXPIRE_HEADER, KEY_HEADER, SIGNATURE_HEADER, is_signature, signature

STATUS_BY_PLACED = {Placed.NEW: 201, Placed.REPEATED: 200}
PROBLEM_BY_PLACED = {
    Placed.CONFLICTING: (409, "client_order_id_conflict"),
    Placed.BLOCKED: (422, "client_order_id_blocked"),
}


class Exchange:
    """Answers requests out of the ledger; faults come between, signatures are checked within."""

    def __init__(
        self,
        ledger: Ledger,
        faults: FaultInjector,
        *,
        key: SecretStr,
        secret: SecretStr,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._key = key
        self._secret = secret
        self._now_ns = now_ns

    def app(self) -> web.Application:
        """Return the server's application."""
        app = web.Application(
            middlewares=[self._disturbed, self._signed], client_max_size=limits.ORDER_BYTES_MAX
        )
        app.router.add_get("/health", self._health)
        app.router.add_post("/v1/orders", self._place)
        app.router.add_get("/v1/orders/{id}", self._query)
        app.router.add_delete("/v1/orders/{id}", self._cancel)
        app.router.add_get("/v1/executions", self._executions)
        app.cleanup_ctx.append(self._settling)
        return app

    @web.middleware
    async def _disturbed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/health":
            return await handler(request)
        return await self._faults.handle(request, handler)

    @web.middleware
    async def _signed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/health":
            return await handler(request)
        body = await request.read()
        expire = request.headers.get(EXPIRE_HEADER, "")
        key = request.headers.get(KEY_HEADER, "")
        found = request.headers.get(SIGNATURE_HEADER, "")
        if key != self._key.get_secret_value() or not expire.isdecimal():
            return _problem(401, "key_unknown")
        expected = signature(self._secret, request.method, request.path_qs, int(expire), body)
        if not is_signature(found, expected):
            return _problem(401, "signature_wrong")
        # After whatever held it up: an order that comes late must not be acted on.
        if self._now_ns() >= int(expire):
            return _problem(400, "expired")
        return await handler(request)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"is_ready": True})

    async def _place(self, request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=OrderBody)
        except msgspec.MsgspecError:
            return _problem(400, "order_unreadable")
        order = VenueOrder(*msgspec.structs.astuple(body))
        placed = self._ledger.place(order, self._now_ns())
        if placed in PROBLEM_BY_PLACED:
            return _problem(*PROBLEM_BY_PLACED[placed])
        self._ledger.settle(self._now_ns())
        return self._order(order.client_order_id, STATUS_BY_PLACED[placed])

    async def _query(self, request: web.Request) -> web.Response:
        return self._order(request.match_info["id"], 200)

    async def _cancel(self, request: web.Request) -> web.Response:
        self._ledger.cancel(request.match_info["id"])
        return self._order(request.match_info["id"], 200)

    def _order(self, identity: str, status: int) -> web.Response:
        said = self._ledger.reports(identity)
        if not said:
            return _problem(404, "order_unknown")
        reports = [msgspec.Raw(each.body) for each in said]
        return _json({"reports": reports}, status)

    async def _executions(self, request: web.Request) -> web.Response:
        after, limit = request.query.get("after", ""), request.query.get("limit", "")
        if not after.isdecimal() or not limit.isdecimal():
            return _problem(400, "query_invalid")
        found, end = self._ledger.executions(int(after), min(int(limit), limits.EXECUTIONS_MAX))
        return _json({"events": _events(self._faults.disturb(found)), "end": end}, 200)

    async def _settling(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._settle())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self._ledger.close()

    async def _settle(self) -> None:
        while True:
            self._ledger.settle(self._now_ns())
            await asyncio.sleep(limits.SETTLE_INTERVAL_S)


def _events(said: Sequence[Said]) -> list[dict[str, object]]:
    return [{"number": each.number, "report": msgspec.Raw(each.body)} for each in said]


def _json(content: object, status: int) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), status=status, content_type="application/json"
    )


def _problem(status: int, code: str) -> web.Response:
    return web.json_response({"code": code}, status=status)
