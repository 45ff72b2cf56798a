"""Identities that anyone can recompute from the content they stand for."""

from hashlib import blake2b

from agents.trading.records import OrderApproved, OrderRequest

DIGEST_BYTES = 16
"""128 bits: two of 10**12 identities collide with a probability below 10**-14."""


def request_id_of(
    account: str, strategy: str, instrument: str, source: str, signal_sequence: int
) -> str:
    """Return the identity of the only request a signal may cause."""
    return digest("request", account, strategy, instrument, source, signal_sequence)


def client_order_id_of(
    account: str, strategy: str, instrument: str, source: str, signal_sequence: int
) -> str:
    """Return the identity of the only order a signal may cause."""
    return digest("order", account, strategy, instrument, source, signal_sequence)


def approval_id_of(content: OrderRequest | OrderApproved, *, expire_time_ns: int) -> str:
    """Return the identity that binds an approval to the whole request and to its expiry.

    The same function reads both: the executor recomputes from the approval what risk computed from
    the request. `quote_valid` and `book_valid` are not in it: no request without them is approved.
    """
    return digest(
        "approval",
        content.request_id,
        content.account,
        content.strategy,
        content.instrument,
        content.source,
        content.signal_sequence,
        content.side,
        content.quantity_lots,
        content.limit_price_ticks,
        content.bid_price_ticks,
        content.ask_price_ticks,
        content.quote_time_ns,
        content.request_time_ns,
        expire_time_ns,
    )


def digest(purpose: str, *values: str | int) -> str:
    """Return the hex BLAKE2b-128 of the values' UTF-8 text, each led by its length in bytes.

    The lengths keep `("a", "bc")` and `("ab", "c")` apart; text keeps it easy in any language.
    """
    hashed = blake2b(digest_size=DIGEST_BYTES)
    for value in (purpose, *values):
        text = str(value).encode()
        hashed.update(b"%d:%s" % (len(text), text))
    return hashed.hexdigest()
