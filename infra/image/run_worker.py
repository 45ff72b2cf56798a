"""Runs the trading graph from an image against embedded servers, from frames to a clean stop.

Three containers, as read-only and unprivileged as in docker-compose.yml: one makes the topics, one
is a worker of every step and sink, one feeds it simulated frames.
"""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from headrace.kafka.admin import Admin
from headrace.project import Project
from headrace.runtime.assemble import Choice
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.topology import Topology
from headrace.up.lag import LagWatch, lane_groups

EVENTS = 2_000
WAIT_S = 240
"""One phase at most: the first start compiles numba's kernels, on a machine that may be busy."""
POLL_S = 0.5
TRADE_ROWS = "SELECT count(*) FROM market_trade_v1"
"""The PostgreSQL sink's table of `market.trade.v1`."""


class Containers:
    """Starts containers of one image on the host's network, and ends what it started."""

    def __init__(self, podman: list[str], image: str, environment: Path) -> None:
        self._podman = podman
        self._image = image
        self._environment = environment
        self._started: list[str] = []

    def start(self, name: str, *command: str) -> None:
        """Start a container that goes on in the background."""
        self._started.append(name)
        self._run(*self._options(name), "--detach", self._image, *command)

    def finish(self, name: str, *command: str) -> str:
        """Run a container to its end; return what it printed.

        Raises:  SystemExit if it does not end well.
        """
        self._started.append(name)
        done = self._run(*self._options(name), self._image, *command)
        print(f"{' '.join(command)}: exit code 0", flush=True)
        return done

    def is_ready(self, name: str) -> bool:
        """Return what the image's own health check says, asked inside the container."""
        asked = [*self._podman, "exec", name, "headrace-ready"]
        done = subprocess.run(asked, capture_output=True, timeout=WAIT_S, check=False)
        if done.returncode not in (0, 1):  # not an answer: it is the container that is gone
            raise SystemExit(f"{name} is not running any more; its last words:\n{self.logs(name)}")
        return done.returncode == 0

    def stop(self, name: str) -> int:
        """Send SIGTERM; return the exit code."""
        self._run("kill", "--signal=TERM", name)
        return int(self._run("wait", name).strip())

    def writes_to_root(self, name: str) -> bool:
        """Return whether the container's process may write outside its volume and /tmp."""
        asked = [*self._podman, "exec", name, "touch", "/opt/headrace/written"]
        return (
            subprocess.run(asked, capture_output=True, timeout=WAIT_S, check=False).returncode == 0
        )

    def logs(self, name: str) -> str:
        """Return the last lines a container printed, on both streams."""
        asked = [*self._podman, "logs", "--tail=30", name]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=WAIT_S, check=False)
        return done.stdout + done.stderr

    def remove(self) -> None:
        """Remove what was started, with its volumes, running or not."""
        for name in self._started:
            self._run("rm", "--force", "--ignore", "--volumes", name)

    def _options(self, name: str) -> list[str]:
        return [
            *("run", f"--name={name}", f"--env-file={self._environment}"),
            *("--network=host", "--log-driver=k8s-file", "--memory=2g"),
            # No more than docker-compose.yml gives: podman would add writable folders by itself.
            *(
                "--read-only",
                "--read-only-tmpfs=false",
                "--tmpfs=/tmp",
                "--volume=/var/lib/headrace",
            ),
            *("--cap-drop=ALL", "--security-opt=no-new-privileges"),
            # Podman's defaults may be above what this machine's own limits let anyone ask for.
            *("--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"),
        ]

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._podman, *arguments],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            raise SystemExit(f"podman {arguments[0]}: exit code {done.returncode}\n{said}")
        return done.stdout


def main(podman: list[str], image: str) -> None:
    """Run the graph on simulated frames and judge what came out and how it ended."""
    topology = Project(Path()).topology("trading")
    with (
        tempfile.TemporaryDirectory(prefix="headrace-image-") as home,
        Servers(Settings.load(home=home, kafka=None, postgres=None, redis=None)) as servers,
    ):
        environment = Path(home) / "image.env"
        environment.touch(mode=0o600)
        environment.write_text(
            f"HEADRACE_KAFKA={servers.endpoints.kafka}\n"
            f"HEADRACE_POSTGRES={servers.endpoints.postgres}\n"
            f"HEADRACE_REDIS={servers.endpoints.redis}\n"
        )
        containers = Containers(podman, image, environment)
        try:
            _judge(containers, topology, servers, Path(home).name)
        finally:
            containers.remove()


def _judge(containers: Containers, topology: Topology, servers: Servers, run: str) -> None:
    worker = f"{run}-worker"
    containers.finish(f"{run}-topics", "topics", topology.name, "--create", "--json")
    started_at = time.monotonic()
    containers.start(worker, "worker", topology.name)
    _wait("the worker to be ready", lambda: containers.is_ready(worker))
    print(f"worker {topology.name}: ready after {time.monotonic() - started_at:.0f} s", flush=True)
    if containers.writes_to_root(worker):
        raise SystemExit("expected a read-only root, found that it can be written")
    feed = f"--feed=sim:1?events={EVENTS}"
    said = containers.finish(f"{run}-feed", "feed", topology.name, feed, "--speed=max")
    print(f"the feed's last words: {said.splitlines()[-1]}", flush=True)

    watch = LagWatch(servers.endpoints.kafka, lane_groups(topology, Choice()))
    _wait(
        "every lane to catch up",
        lambda: containers.is_ready(worker) and not any(watch.lags().values()),
    )
    existing = Admin(servers.endpoints.kafka).partitions()
    counts = watch.counts({topic.name: existing[topic.name] for topic in topology.topics})
    dead = watch.counts({topic.dead: existing[topic.dead] for topic in topology.topics})
    with psycopg.connect(servers.endpoints.postgres) as connection:
        found = connection.execute(TRADE_ROWS).fetchone()
    rows = found[0] if found else 0
    code = containers.stop(worker)

    for name, count in counts.items():
        print(f"  {count:>8,} {name}")
    print(f"  {rows:>8,} rows of trades; {sum(dead.values())} dead letters")
    print(f"SIGTERM: exit code {code}", flush=True)
    must = ("market.trade.v1", "market.quote.v1", "feature.vector.v1", "signal.prediction.v1")
    if missing := [name for name in must if not counts[name]]:
        raise SystemExit(f"expected records in {', '.join(missing)}, found none")
    if any(dead.values()):
        raise SystemExit(f"expected no dead letters, found {dead}")
    if rows != counts["market.trade.v1"]:
        raise SystemExit(f"expected {counts['market.trade.v1']} rows of trades, found {rows}")
    if code != 0:
        raise SystemExit(f"expected exit code 0:\n{containers.logs(worker)}")
    print("image-test: ok")


def _wait(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {WAIT_S} s for {what}")
        time.sleep(POLL_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True)
    parser.add_argument("podman", nargs="+", help="after --: how podman is called")
    chosen = parser.parse_args()
    main(chosen.podman, chosen.image)
