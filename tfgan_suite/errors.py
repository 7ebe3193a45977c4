"""Errors that a command prints as one or two lines, without a traceback; those of the data are among them."""

from data_tools.errors import Interrupted, SuiteError, UsageError

__all__ = ["Interrupted", "SuiteError", "UsageError"]
