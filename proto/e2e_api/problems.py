"""What is wrong with a manifest file, and where in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; 0 means the file as a whole."""

    message: str
    field: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line else ""
        return f"{place}{self.field}: {self.message}" if self.field else f"{place}{self.message}"

    def in_file(self, name: str) -> str:
        """With the file's name before it: `a.yaml:3:5: ...`."""
        return f"{name}:{self}" if self.line else f"{name}: {self}"


class UnreadableError(Exception):
    """The file as a whole cannot be read, so nothing in it counts."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem
