"""How a command ends when it could not do what was asked."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""


class CommandFailed(Exception):
    """The command could not; its text is the one line that the user reads."""


def first_cause(error: BaseException) -> BaseException:
    """The first plain exception inside nested groups: task groups wrap what their tasks raise."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def describe_os_error(error: OSError) -> str:
    """An operating system error as people read it: which file, and what is the matter."""
    what = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {what}" if error.filename is not None else what
