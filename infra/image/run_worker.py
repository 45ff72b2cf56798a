"""Runs a worker from an image against embedded servers: frames in, records out, a clean stop."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from headrace.project import Project
from headrace.runtime.assemble import Choice, ensure_topics
from headrace.servers import Servers
from headrace.settings import Settings
from headrace.up.lag import LagWatch, lane_groups

WAIT_S = 180
EVENTS = 2_000


def main(image: str) -> None:
    """Feed simulated frames to an ingest worker in a container and count what comes out."""
    topology = Project(Path()).topology("trading")
    with (
        tempfile.TemporaryDirectory(prefix="headrace-image-") as home,
        Servers(Settings.load(home=home, kafka=None), only=frozenset({"kafka"})) as servers,
    ):
        kafka = servers.endpoints.kafka
        ensure_topics(topology, kafka, Choice(steps=("ingest",)).runs(topology))
        worker = subprocess.Popen(container(image, kafka, "worker", "trading", "--step=ingest"))
        subprocess.run(
            [
                *(sys.executable, "-m", "headrace", "feed", "trading", "--speed=max"),
                f"--feed=sim:1?events={EVENTS}",
            ],
            env={**os.environ, "HEADRACE_KAFKA": kafka, "HEADRACE_HOME": home},
            check=True,
            timeout=WAIT_S,
        )
        watch = LagWatch(kafka, lane_groups(topology, Choice(steps=("ingest",))))
        deadline = time.monotonic() + WAIT_S
        while any(watch.lags().values()):
            if worker.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the worker did not finish: exit code {worker.poll()}")
            time.sleep(0.5)
        names = {topic.name: topic.partitions for topic in topology.steps[0].writes}
        counts = watch.counts(names)
        worker.terminate()
        code = worker.wait(WAIT_S)
        print(f"the worker wrote {counts} and ended with exit code {code}")
        if code != 0 or not counts["market.quote.v1"]:
            raise SystemExit("expected quotes and exit code 0")
        print("image-test: ok")


def container(image: str, kafka: str, *command: str) -> list[str]:
    """Return the command that runs the image read-only, unprivileged, on the host's network."""
    options = ["--runtime=runc", "--network=host", "--read-only", "--cap-drop=ALL", "--rm"]
    options += ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096", "--cgroups=disabled"]
    options += ["--volume=/var/lib/headrace", f"--env=HEADRACE_KAFKA={kafka}"]
    return ["podman", "--storage-driver=vfs", "run", *options, image, *command]


if __name__ == "__main__":
    main(sys.argv[1])
