"""The errors of the tool.

ClusterToolError        what a user can act on: the message is a sentence with the remedy
└── MissingPartError         the machine lacks a part; `remedy` is the command that installs it
"""

from __future__ import annotations


class ClusterToolError(Exception):
    """The tool cannot go on; its message says why, and what to do about it."""


class MissingPartError(ClusterToolError):
    """The machine lacks something that the tool cannot build by itself."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} is missing; install it with: {remedy}")
        self.what = what
        self.remedy = remedy
