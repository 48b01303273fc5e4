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
    """A type of problem.

    Attributes:
        problem: what is wrong, in a few words.
        next_step: what to do about it.
        severity: whether it fails the check.
    """

    problem: str
    next_step: str
    severity: Severity = Severity.ERROR


@dataclass(slots=True)
class Finding:
    """All cases of one type of problem.

    Attributes:
        type: type of the problem.
        count: how many cases.
        examples: the first few, as "file:line: what is wrong".
    """

    type: FindingType
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Findings:
    """A collection of cases by type; memory does not grow with their number."""

    def __init__(self) -> None:
        self._by_type: dict[FindingType, Finding] = {}

    def add(self, finding_type: FindingType, where: str, detail: str, *, count: int = 1) -> None:
        """Count a case.

        Args:
            finding_type: type of the problem.
            where: file, or file:line.
            detail: what is wrong.
            count: number of equal cases at this place.
        """
        finding = self._by_type.setdefault(finding_type, Finding(finding_type))
        finding.count += count
        if len(finding.examples) < _MAX_EXAMPLES:
            finding.examples.append(f"{where}: {detail}")

    def __iter__(self) -> Iterator[Finding]:
        """Yield the findings, worst first, then in order of discovery."""
        return iter(sorted(self._by_type.values(), key=lambda finding: finding.type.severity))

    def count(self, severity: Severity) -> int:
        """Return the number of cases of a severity.

        Args:
            severity: which.

        Returns:
            The sum over the types.
        """
        return sum(finding.count for finding in self if finding.type.severity == severity)

    def text(self) -> str:
        """Return the findings as a table: severity, count and problem; below each its examples and the next step.

        Returns:
            Text of several lines, or "" without findings.
        """
        lines = []
        for finding in self:
            lines.append(f"{finding.type.severity.name:<7} {finding.count:>9,}  {finding.type.problem}")
            lines += [f"{'':19}{example}" for example in finding.examples]
            lines.append(f"{'':19}-> {finding.type.next_step}")
        if lines:
            lines.insert(0, f"{'':7} {'count':>9}  finding, first examples, next step")
        return "\n".join(lines)
