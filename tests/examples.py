"""How many examples hypothesis tries: as many as the test says, or a multiple of it at night."""

from hypothesis import settings

NIGHTLY_FACTOR = 10
_PROFILE_EXAMPLES = 100


def register_profiles() -> None:
    """Make the profile of `make test` the one in use, and name the one of `make test-nightly`."""
    # No test is judged by how long it takes: a first call compiles, a loaded machine is slow.
    common = {"deadline": None, "print_blob": True}
    settings.register_profile("headrace", max_examples=_PROFILE_EXAMPLES, **common)
    nightly = _PROFILE_EXAMPLES * NIGHTLY_FACTOR
    settings.register_profile("nightly", max_examples=nightly, **common)
    settings.load_profile("headrace")


def examples(count: int) -> int:
    """Return how many examples to try where `make test` tries `count`."""
    return count * settings().max_examples // _PROFILE_EXAMPLES
