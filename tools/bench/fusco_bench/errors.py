"""What ends fusco-bench with one line."""


class Error(Exception):
    """Something that is not as it should be: exit code 1."""


class UsageError(Error):
    """A wrong command line: exit code 2."""
