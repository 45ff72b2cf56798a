"""What can be known to be wrong with a project before it runs: `headrace check`."""

from headrace.checks.finding import Finding
from headrace.checks.project import check_project

__all__ = ["Finding", "check_project"]
