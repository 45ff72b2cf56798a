"""A person's project: the folder that holds `topologies`, `agents`, `schemas` and `models`."""

import importlib
import sys
from pathlib import Path

from headrace.errors import TopologyError, UsageError
from headrace.topology import Topology

ENGINE = __name__.partition(".")[0]


class Project:
    """The project in a folder; its packages become importable."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        if not (self.folder / "topologies").is_dir():
            raise UsageError(
                f"{self.folder}: expected a project with a folder topologies/, found none; "
                "change into the project, or name it with --project"
            )
        # First, even if it is there already: another project's packages have the same names.
        if sys.path[:1] != [str(self.folder)]:
            sys.path.insert(0, str(self.folder))

    @property
    def schemas(self) -> Path:
        """Return the folder of Avro schemas."""
        return self.folder / "schemas" / "avro"

    @property
    def migrations(self) -> Path:
        """Return the folder of SQL migrations."""
        return self.folder / "infra" / "migrations"

    @property
    def models(self) -> Path:
        """Return the folder of model bundles."""
        return self.folder / "models"

    def names(self) -> list[str]:
        """Return the names of the project's topologies."""
        files = (self.folder / "topologies").glob("*.py")
        return sorted(file.stem for file in files if not file.stem.startswith("_"))

    def topology(self, name: str) -> Topology:
        """Return the topology of that name: `TOPOLOGY` in `topologies/NAME.py`."""
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise TopologyError(f"{self.folder / 'topologies'}: expected {name}.py, found {known}")
        module = importlib.import_module(f"topologies.{name}")
        found = getattr(module, "TOPOLOGY", None)
        if not isinstance(found, Topology):
            raise TopologyError(
                f"topologies/{name}.py: expected TOPOLOGY = Topology(…), "
                f"found {type(found).__name__}"
            )
        return found

    def forget(self) -> None:
        """Forget the project's modules: what is asked for next is imported from the files anew."""
        for name in [name for name in sys.modules if self._owns(name)]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def _owns(self, name: str) -> bool:
        package = name.partition(".")[0]
        found = list(getattr(sys.modules.get(package), "__path__", ()))
        # The engine may lie in the same folder, and it is running.
        return package != ENGINE and str(self.folder / package) in found
