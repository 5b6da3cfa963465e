"""What a client program counts, and how it starts and ends: see tests/src/clients/client.rs."""

import json
import signal
import sys
import threading
import time
import traceback

HELLO = "hello from "


class Tally:
    """Counts of one service. Each is counted by one thread or task only."""

    def __init__(self):
        self.answers = 0
        self.pods = {}
        self.errors = {}
        self.closed = {}

    def answered(self, text):
        """Counts an answer, which must name its pod."""
        if not text.startswith(HELLO):
            self.failed(f"an odd answer: {text!r}")
            return
        self.answers += 1
        self._count(self.pods, text.removeprefix(HELLO).split()[0])

    def failed(self, error):
        """Counts an error, and writes it down with its moment."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self._count(self.errors, text)
        now = int(time.time() * 1000)
        print(f"{now} {text}", file=sys.stderr)
        if isinstance(error, BaseException):
            traceback.print_exception(error, file=sys.stderr)

    def was_closed(self, code):
        """Counts a WebSocket that the server closed."""
        self._count(self.closed, str(code))

    @staticmethod
    def _count(counts, key):
        counts[key] = counts.get(key, 0) + 1


def pauses():
    """How long to wait between two requests, in seconds: up to 0.1 s, always the same sequence."""
    number = 0
    while True:
        number = (number * 1103515245 + 12345) % 2**31
        yield number / 2**31 / 10


def report(tallies):
    print(json.dumps({url: vars(tally) for url, tally in tallies.items()}))


def run_threads(loop):
    """Runs loop(url, tally, stopping) in a thread for each address until SIGTERM; then prints what was
    counted. The loop ends soon after stopping is set."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    tallies = {url: Tally() for url in sys.argv[1:]}
    threads = [
        threading.Thread(target=loop, args=(url, tally, stopping), daemon=True)
        for url, tally in tallies.items()
    ]
    for thread in threads:
        thread.start()
    while not all(tally.answers for tally in tallies.values()) and not stopping.wait(0.01):
        pass
    print("ready")
    while not stopping.wait(1):
        pass
    for thread in threads:
        thread.join()
    report(tallies)
