"""The one error a person causes and can mend; everything else is a defect and keeps its traceback."""


class UserError(Exception):
    """Bad input. The message is one line: what is wrong, where, and what to do about it."""
