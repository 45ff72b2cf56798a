"""The same as `child.py` by ADBC's ingest, run by the benchmarks' own Python, which has it.

Arguments: the table, the file of trades.
"""

import os
import sys

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa


def main() -> None:
    """Store all batches once, each a transaction."""
    table, path = sys.argv[1:]
    with pa.OSFile(path) as file:
        reader = pa.ipc.open_file(file)
        batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
    with adbc.connect(os.environ["BENCH_POSTGRES"]) as connection, connection.cursor() as cursor:
        print("ready", flush=True)
        sys.stdin.readline()
        for batch in batches:
            cursor.adbc_ingest(table, batch, mode="append")
            connection.commit()
        print("done", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
