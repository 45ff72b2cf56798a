"""One peer in a process of its own, which starts when it is told to.

Arguments: the peer, the file of trades. The database stands in BENCH_POSTGRES. Prints `ready`,
waits for a line, stores, prints `done`, waits for the end of its input.
"""

import os
import sys
from pathlib import Path

from benchmarks.sink.peers import PEERS
from benchmarks.sink.trades import load


def main() -> None:
    """Store all batches once."""
    peer, path = sys.argv[1:]
    write = PEERS[peer](os.environ["BENCH_POSTGRES"], load(Path(path)))
    print("ready", flush=True)
    sys.stdin.readline()
    write()
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
