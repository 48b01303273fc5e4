"""Findings of a check: types of problem with a count, the first examples, and what to do next."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

_MAX_EXAMPLES = 3


class Severity(IntEnum):
    """The severity of a finding; only errors fail the check."""

    ERROR = 0
    WARNING = 1


@dataclass(frozen=True, slots=True)
class FindingType:
    """A type of problem."""

    problem: str  # what is wrong, in a few words
    next_step: str  # what to do about it
    severity: Severity = Severity.ERROR  # whether it fails the check


@dataclass(slots=True)
class Finding:
    """All cases of one type of problem."""

    type: FindingType  # type of the problem
    count: int = 0  # how many cases
    examples: list[str] = field(default_factory=list)  # the first few, as "file:line: what is wrong"


class Findings:
    """A collection of cases by type; memory does not grow with their number."""

    def __init__(self) -> None:
        self._by_type: dict[FindingType, Finding] = {}

    def add(self, finding_type: FindingType, where: str, detail: str, *, count: int = 1) -> None:
        """Count `count` equal cases of a type of problem at a place: a file, or file:line."""
        finding = self._by_type.setdefault(finding_type, Finding(finding_type))
        finding.count += count
        if len(finding.examples) < _MAX_EXAMPLES:
            finding.examples.append(f"{where}: {detail}")

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings, worst first, then in order of discovery."""
        return iter(sorted(self._by_type.values(), key=lambda finding: finding.type.severity))

    def count(self, severity: Severity) -> int:
        """Return the number of cases of a severity."""
        return sum(finding.count for finding in self if finding.type.severity == severity)

    def text(self) -> str:
        """Return the findings as a table, "" without any; below each its examples and the next step."""
        lines = []
        for finding in self:
            lines.append(f"{finding.type.severity.name:<7} {finding.count:>9,}  {finding.type.problem}")
            lines += [f"{'':19}{example}" for example in finding.examples]
            lines.append(f"{'':19}-> {finding.type.next_step}")
        if lines:
            lines.insert(0, f"{'':7} {'count':>9}  finding, first examples, next step")
        return "\n".join(lines)
