"""Being asked to end: by a signal, or by a deadline that comes near."""

import os
import signal
import time

MARGIN = 60  # seconds before the deadline at which a training ends, besides the time that saving takes


class Interruption:
    """Whether this process was asked to end. As a context manager it keeps SIGTERM and SIGINT from killing it.

    deadline: when the process will be killed, in seconds since the epoch, if that is known.
    """

    def __init__(self, deadline: float | None = None):
        self.deadline = deadline
        self._signal: signal.Signals | None = None

    def __enter__(self) -> "Interruption":
        self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def reason(self, saving: float = 0.0) -> str | None:
        """Why to end now, if at all, when saving takes ``saving`` seconds."""
        if self._signal is not None:
            return self._signal.name
        if self.deadline is not None and time.time() > self.deadline - MARGIN - 2 * saving:
            return "the deadline is near"
        return None

    def end(self) -> None:
        """Exit with status 75 (EX_TEMPFAIL: run me again) if asked to end, where there is nothing to save."""
        if self.reason() is not None:
            raise SystemExit(os.EX_TEMPFAIL)

    def _note(self, number: int, _: object) -> None:
        self._signal = signal.Signals(number)
