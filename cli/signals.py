"""Ctrl-C and SIGTERM as a request for an orderly end. It knows nothing of what ends."""

import signal
import threading


def stop_on_signals(stopping: threading.Event) -> None:
    """The first signal sets `stopping`, however early it comes; a second one ends the process at once."""

    def note(number: int, _: object) -> None:
        stopping.set()
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
