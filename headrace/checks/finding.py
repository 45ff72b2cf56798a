"""One thing that is wrong, as a person needs it told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Where something is wrong, by which rule, what was expected and found, and how to mend it.

    `file` is relative to the project; `rule` a stable name (docs/checking.md); `part` the step,
    topic or field.
    """

    file: str
    part: str
    rule: str
    problem: str
    mend: str

    def text(self) -> str:
        """Return it in one line."""
        return f"{self.file}: {self.part}: {self.problem}; {self.mend} [{self.rule}]"
