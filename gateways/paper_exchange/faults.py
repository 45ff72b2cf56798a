"""Faults on purpose: what a network and an exchange do on a bad day, drawn from a seed."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Self, TypeVar

import msgspec
from aiohttp import web

from gateways import limits
from headrace.errors import UsageError

Item = TypeVar("Item")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Faults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How likely each fault is for a request, from 0 to 1.

    `drop_request`  the connection breaks before the request is acted on
    `drop_reply`    it breaks after that
    `fail_before`   status 503, not acted on
    `fail_after`    status 503, acted on
    `delay`         acted on late by at most a second
    `hang`          acted on after nobody waits any more
    `duplicate`     executions are told twice
    `reorder`       executions are told in another order
    """

    drop_request: float = 0.0
    drop_reply: float = 0.0
    fail_before: float = 0.0
    fail_after: float = 0.0
    delay: float = 0.0
    hang: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the faults in `name=chance[,name=chance…]`.

        Raises:  UsageError naming what is no fault or no chance.
        """
        pairs = [part.partition("=") for part in text.split(",") if part]
        try:
            faults = msgspec.convert(
                {name.strip(): float(chance) for name, _, chance in pairs}, cls
            )
        except (ValueError, msgspec.ValidationError) as error:
            names = ", ".join(cls.__struct_fields__)
            raise UsageError(
                f"--faults {text!r}: expected name=chance of {names}; found {error}"
            ) from error
        if not all(0 <= chance <= 1 for chance in msgspec.structs.astuple(faults)):
            raise UsageError(f"--faults {text!r}: expected chances from 0 to 1")
        return faults


class FaultInjector:
    """Draws faults one request after the other, the same for the same seed and order."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._random = Random(seed)  # noqa: S311  (repeatable faults, not a secret)

    async def handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request as well as the faults drawn for it allow."""
        faults, drawn = self._faults, self._drawn
        waits_s = limits.HANG_S if drawn(faults.hang) else 0.0
        waits_s += self._random.random() * limits.DELAY_S_MAX if drawn(faults.delay) else 0.0
        loses_request, loses_reply = drawn(faults.drop_request), drawn(faults.drop_reply)
        fails_before, fails_after = drawn(faults.fail_before), drawn(faults.fail_after)
        if loses_request:
            return _broken(request)
        if fails_before:
            return web.json_response({"code": "unavailable"}, status=503)
        await asyncio.sleep(waits_s)
        response = await handler(request)
        if loses_reply:
            return _broken(request)
        if fails_after:
            return web.json_response({"code": "unavailable"}, status=503)
        return response

    def disturb(self, items: list[Item]) -> list[Item]:
        """Return executions as they arrive on a bad day: all of them, some twice, out of order."""
        if self._drawn(self._faults.duplicate):
            items = items + [item for item in items if self._drawn(0.5)]
        if self._drawn(self._faults.reorder):
            items = self._random.sample(items, len(items))
        return items

    def _drawn(self, chance: float) -> bool:
        return self._random.random() < chance


class _Nothing(web.Response):
    """A response that is never written: its connection is gone."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write no head."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write no body."""


def _broken(request: web.Request) -> web.Response:
    """Break the connection."""
    if request.transport is not None:
        request.transport.abort()
    return _Nothing()
