"""Every fuzz target by its name."""

from tests.fuzz.targets import frames

TARGETS = {target.name: target for module in (frames,) for target in module.TARGETS}
