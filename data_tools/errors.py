"""Errors that a command prints as one or two lines, without a traceback."""


class SuiteError(Exception):
    """Something failed that the user can mend; exit status 1."""

    status = 1


class UsageError(SuiteError):
    """The command was called wrongly; exit status 2."""

    status = 2


class Interrupted(SuiteError):
    """Ctrl-C, SIGTERM or SIGHUP ended a command, with all saved; exit status 128 + signal, as shells expect."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.status = 128 + signal_number


class DataError(SuiteError):
    """Data that cannot be used; the message says what came, what was expected and how to mend it."""


class NoSplitError(DataError):
    """The data has no such split."""
