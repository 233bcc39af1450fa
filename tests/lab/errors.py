"""PURE: what goes wrong in the laboratory, each with the way out."""


class LabError(Exception):
    """A lab that cannot go on; `remedy` says what a person can do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  {self.remedy}" if self.remedy else self.problem


class CommandFailed(LabError):
    """A command in a guest ended with another status than 0."""

    def __init__(self, where: str, command: str, status: int, output: str) -> None:
        super().__init__(f"{where}: status {status}: {command}\n{output}")
        self.status = status
        self.output = output


class TimedOut(LabError):
    """Something did not happen within its time."""


class GuestStopped(LabError):
    """KVM has a guest that it cannot run."""


class Unhealthy(LabError):
    """A kernel complained, a program dumped core, or a service restarted unasked."""
