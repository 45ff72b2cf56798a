"""Every limit of the venue clients and of the paper exchange, with the reason beside it."""

CONNECT_TIMEOUT_S = 0.8
"""A venue that is up accepts at once; nothing was sent yet, so giving up is cheap."""

READ_TIMEOUT_S = 1.6
"""Silence after which an answer is taken for lost."""

WRITE_TIMEOUT_S = 0.8
POOL_TIMEOUT_S = 0.4
"""A connection of our own that is not free by then: nothing was sent."""

CALL_TIMEOUT_S = 1.8
"""Of an answer that drips, looked at as it comes in: below the 2 s a gateway waits for a call."""

REPLY_BYTES_MAX = 2**20
"""A page of 512 reports has some 200 KB."""

CONNECTIONS_MAX = 40
"""More than a gateway's calls at a time."""

QUESTION_EXPIRE_S = 5.0
"""How long a question is good for, by its signature; an order's expiry is its lease's."""

REASON_CHARACTERS_MAX = 64
"""Of a venue's code for a refusal."""

ORDER_BYTES_MAX = 16 * 2**10
"""A request to the paper exchange: an order has half a KB."""

EXECUTIONS_MAX = 1_000
"""Reports in one answer of the paper exchange."""

SETTLE_INTERVAL_S = 0.02
"""How often the paper exchange looks for fills that are due."""

HANG_S = 3.0
"""How long a hanging request waits before the paper exchange acts on it: longer than we do."""

DELAY_S_MAX = 1.0
"""The longest delay of a delayed request."""
