"""For Faust's own command line: `faust -A headrace.faust_app:NAME worker` runs topology NAME.

The project is the current folder, the servers those of the settings; the web server's port is
`HEADRACE_WEB_PORT`.
"""

from pathlib import Path
from typing import Any

from headrace.errors import UsageError
from headrace.project import Project
from headrace.servers import Endpoints
from headrace.settings import Settings


def __getattr__(name: str) -> Any:
    """Return the app of a topology; built when Faust asks for it."""
    if name.startswith("_"):
        raise AttributeError(name)
    from headrace.runtime.assemble import Assembly, Choice

    settings = Settings.load()
    if settings.kafka is None:
        raise UsageError(
            "HEADRACE_KAFKA: expected bootstrap servers, found none; Faust's command line starts "
            "no servers, `headrace worker` does"
        )
    project = Project(Path())
    endpoints = Endpoints(
        settings.kafka,
        settings.postgres.get_secret_value() if settings.postgres is not None else "",
        settings.redis.get_secret_value() if settings.redis is not None else "",
    )
    return Assembly(project, project.topology(name), settings, endpoints).app(
        Choice(), settings.web_port
    )
