"""A subscriber in a process of its own: when each message came, by its sequence.

Arguments: `plain` (reads the socket) or `redis-py`, the channels' pattern, how many messages, the
file to write. The server stands in BENCH_REDIS. Prints `ready` once it is subscribed.
"""

import os
import re
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import redis

SEQUENCE = re.compile(rb'"sequence":(\d+),')
SUBSCRIBED = b":1\r\n"
RECEIVE_BYTES = 1 << 16


def main() -> None:
    """Take so many messages and write sequences and times as two rows."""
    kind, pattern, count, path = sys.argv[1:]
    take = {"plain": plain, "redis-py": by_redis_py}[kind]
    found = take(os.environ["BENCH_REDIS"], pattern, int(count))
    np.save(Path(path), np.array(found, np.int64).T)


def plain(url: str, pattern: str, count: int) -> list[tuple[int, int]]:
    """Read what the server sends as it comes: a message is there when its bytes are."""
    where = urlsplit(url)
    found: list[tuple[int, int]] = []
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(f"AUTH {where.password}\r\nPSUBSCRIBE {pattern}\r\n".encode())
        rest = b""
        while SUBSCRIBED not in rest:
            rest += connection.recv(RECEIVE_BYTES)
        print("ready", flush=True)
        rest = b""
        while len(found) < count:
            data = connection.recv(RECEIVE_BYTES)
            now_ns = time.monotonic_ns()
            if not data:
                raise ConnectionError("the server hung up")
            data = rest + data
            end = 0
            for match in SEQUENCE.finditer(data):
                found.append((int(match[1]), now_ns))
                end = match.end()
            rest = data[end:]
    return found


def by_redis_py(url: str, pattern: str, count: int) -> list[tuple[int, int]]:
    """Read by redis-py's own subscriber."""
    found: list[tuple[int, int]] = []
    with redis.Redis.from_url(url) as client, client.pubsub() as subscriber:
        subscriber.psubscribe(pattern)
        for message in subscriber.listen():
            if message["type"] == "psubscribe":
                print("ready", flush=True)
                continue
            now_ns = time.monotonic_ns()
            match = SEQUENCE.search(message["data"])
            if match is None:
                raise ValueError(f"expected a sequence, found {message['data']!r}")
            found.append((int(match[1]), now_ns))
            if len(found) == count:
                break
    return found


if __name__ == "__main__":
    main()
