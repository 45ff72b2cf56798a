"""A real TimescaleDB (Debian's package, Apache edition) in a folder of its own, nothing installed.

Packages are downloaded by apt with a private state, unpacked with `dpkg-deb -x`, and run in a
chroot as `nobody`: so it needs Debian, root, and the mirror this machine's apt already uses.
"""

import contextlib
import os
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs
import psycopg

SUITE = "trixie"
PACKAGES = ("postgresql-17-timescaledb", "dash")
BINARIES = "/usr/lib/postgresql/17/bin"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
COMMAND_TIMEOUT_S = 600
START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class TimescaleServer:
    """A running server: its address, and the process all its others are children of."""

    dsn: str
    pid: int


class UnpreparableError(Exception):
    """This machine cannot make the root; the reason is for a skip."""


def prepared_root() -> Path:
    """Return the root, made the first time (about 100 MB of packages, half a minute)."""
    root = platformdirs.user_cache_path("headrace") / f"timescale-{SUITE}"
    if (root / "done").is_file():
        return root
    if os.geteuid() != 0 or not shutil.which("apt-get") or not KEYRING.is_file():
        raise UnpreparableError("needs root on a Debian machine")
    shutil.rmtree(root, ignore_errors=True)
    _unpack(root)
    (root / "done").touch()
    return root


@contextlib.contextmanager
def timescale_server(root: Path) -> Iterator[TimescaleServer]:
    """Run an empty server; it is ended, and its data removed, at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory(dir=root / "var") as folder:
        shutil.chown(folder, "nobody", "nogroup")
        data = f"/var/{Path(folder).name}/data"
        _run(_inside(root, "initdb", "-D", data, "-A", "trust", "-U", "headrace", "--locale=C",
                     "--encoding=UTF8"))  # fmt: skip
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "shared_preload_libraries": "timescaledb",
            "dynamic_shared_memory_type": "mmap",
            "timescaledb.telemetry_level": "off",
        }
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (
            (Path(folder) / "log").open("wb") as log,
            subprocess.Popen(
                _inside(root, "postgres", "-D", data, *flags), stdout=log, stderr=log
            ) as server,
        ):
            try:
                dsn = f"postgresql://headrace@127.0.0.1:{port}/postgres"
                _await(dsn, server)
                yield TimescaleServer(dsn, server.pid)
            finally:
                server.terminate()


def _unpack(root: Path) -> None:
    with TemporaryDirectory() as folder:
        state = Path(folder)
        for name in ("lists/partial", "cache/archives/partial"):
            (state / name).mkdir(parents=True)
        (state / "status").touch()
        (state / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] {_mirror()} {SUITE} main\n", encoding="utf-8"
        )
        config = state / "apt.conf"
        config.write_text(
            f'Dir::State "{state}";\nDir::State::status "{state}/status";\n'
            f'Dir::State::lists "{state}/lists";\nDir::Cache "{state}/cache";\n'
            f'Dir::Etc::sourcelist "{state}/sources.list";\nDir::Etc::sourceparts "-";\n'
            f'APT::Sandbox::User "root";\nAPT::Install-Recommends "false";\n'
            'APT::Keep-Downloaded-Packages "true";\n'
            'Binary::apt-get::APT::Keep-Downloaded-Packages "true";\n',
            encoding="utf-8",
        )
        environment = os.environ | {"APT_CONFIG": str(config), "DEBIAN_FRONTEND": "noninteractive"}
        _run(["apt-get", "update"], environment)
        _run(["apt-get", "install", "--yes", "--download-only", *PACKAGES], environment)
        # As usr-merged Debian has it; the packages bring only what is under /usr.
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(f"usr/{name}")
        for package in sorted((state / "cache" / "archives").glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(root)])
    _furnish(root)


def _furnish(root: Path) -> None:
    """Add what the packages' own scripts would have made."""
    if not (root / "usr/bin/sh").exists():
        (root / "usr/bin/sh").symlink_to("dash")
    for name in ("dev", "tmp", "var", "etc"):
        (root / name).mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "var").chmod(0o755)
    (root / "etc/passwd").write_text("nobody:x:65534:65534::/tmp:/bin/sh\n", encoding="ascii")
    (root / "etc/group").write_text("nogroup:x:65534:\n", encoding="ascii")
    null = root / "dev/null"
    with contextlib.suppress(FileExistsError):
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    null.chmod(0o666)


def _mirror() -> str:
    """Return where this machine's apt gets Debian from."""
    targets = _run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)"])
    for line in targets.splitlines():
        label, _, address = line.partition(" ")
        if label == "Debian":
            return address
    raise UnpreparableError("apt knows no Debian mirror")


def _inside(root: Path, program: str, *arguments: str) -> list[str]:
    who = "--userspec=65534:65534"
    return ["chroot", who, "--groups=", str(root), f"{BINARIES}/{program}", *arguments]


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    found = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=COMMAND_TIMEOUT_S,
    )
    if found.returncode:
        raise UnpreparableError(
            f"{command[0]} failed: {found.stderr[-2_000:]}{found.stdout[-500:]}"
        )
    return found.stdout


def _await(dsn: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
        else:
            return
