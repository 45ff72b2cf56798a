"""Every error the engine raises, in one tree; the branch says what the runtime does with it.

HeadraceError
├── RecordError            a bad record is data: dead letter, counted, goes on
│   └── DecodeError        the bytes are not a record of the schema they name
├── TransientError         a lost dependency is weather: bounded retry, visible, then stop
├── AbortedError           a transaction does not count: take its state back and do it again
├── FencedError            another has taken over: nothing done here counts any more; stop
├── InvariantError         a broken invariant is a bug: crash, let the supervisor restart
└── UsageError             what was asked for cannot be: said to the person, exit code 2
    ├── TopologyError      a graph that cannot run
    ├── SchemaError        a schema that cannot be used
    ├── ContractError      a model that does not fit the features it is given
    └── FeedError          an input that cannot be opened
"""


class HeadraceError(Exception):
    """Root of the tree."""


class RecordError(HeadraceError):
    """One record cannot be processed; its neighbours can."""


class DecodeError(RecordError):
    """Bytes that are not a record of the schema they name."""


class TransientError(HeadraceError):
    """A dependency is away; trying again may help."""


class AbortedError(HeadraceError):
    """A transaction was aborted: nothing of it counts, and it may be done again."""


class FencedError(HeadraceError):
    """A newer owner of the same work is there; this one must stop."""


class InvariantError(HeadraceError):
    """Something that cannot happen did; the process must not go on."""


class UsageError(HeadraceError):
    """What was asked for cannot be done; trying again will not help."""


class TopologyError(UsageError):
    """A topology that cannot run."""


class SchemaError(UsageError):
    """A schema that cannot be read, registered or resolved."""


class ContractError(UsageError):
    """A model bundle whose contract differs from the features it is given."""


class FeedError(UsageError):
    """A feed that cannot be opened."""
