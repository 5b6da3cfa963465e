"""What a client program counts, and how it starts and ends: see tests/clients/src/running.rs."""

import asyncio
import json
import signal
import sys
import threading
import time
import traceback

HELLO = "hello from "


class Tally:
    """What was counted at one service."""

    def __init__(self):
        self.answers = 0
        self.pods = {}
        self.errors = {}
        self.closed = {}
        self.crossed = 0
        self.longest = 0
        self._last = None

    def answered(self, text):
        """Counts an answer, which must name its pod."""
        if not text.startswith(HELLO):
            self.failed(f"an odd answer: {text!r}")
            return
        with LOCK:
            self.longest = max(self.longest, self._since_last())
            self._last = time.monotonic()
            self.answers += 1
        self._count(self.pods, text.removeprefix(HELLO).split()[0])

    def failed(self, error):
        """Counts an error, and writes it down with its moment, in milliseconds since 1970, and the time
        since the last answer."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        self._count(self.errors, text)
        now = int(time.time() * 1000)
        print(f"{now}, {self._since_last()} ms after an answer: {text}", file=sys.stderr)
        if isinstance(error, BaseException):
            traceback.print_exception(error, file=sys.stderr)

    def _since_last(self):
        """Milliseconds since the last answer, if there was one."""
        return int((time.monotonic() - (self._last or time.monotonic())) * 1000)

    def counts(self):
        """What is reported."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def was_closed(self, code, waited=None):
        """Counts a WebSocket that the server closed. An answer had been waited for that many seconds: the
        Close may have crossed the message, or have come a second after it, as Ebb says it may; no later."""
        self._count(self.closed, str(code))
        if waited is not None:
            self.crossed += 1
            if waited > 5:
                self.failed(f"closed with {code} after {waited:.1f} s without an answer")

    @staticmethod
    def _count(counts, key):
        with LOCK:
            counts[key] = counts.get(key, 0) + 1


LOCK = threading.Lock()


def pauses():
    """How long to wait between two requests, in seconds: up to 0.4 s, always the same sequence."""
    number = 0
    while True:
        number = (number * 1103515245 + 12345) % 2**31
        yield number / 2**31 * 0.4


def report(tallies):
    print(json.dumps({url: tally.counts() for url, tally in tallies.items()}))


def run_threads(*loops):
    """Runs each loop(url, tally, stopping) in a thread for each address until SIGTERM, and then prints
    what was counted. A loop ends soon after the event stopping is set."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    tallies = {url: Tally() for url in sys.argv[1:]}
    threads = [
        threading.Thread(target=loop, args=(url, tally, stopping), daemon=True)
        for url, tally in tallies.items()
        for loop in loops
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


def run_tasks(loop):
    """The same for an asynchronous loop, each in a task."""

    async def run():
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        tallies = {url: Tally() for url in sys.argv[1:]}
        tasks = [asyncio.ensure_future(loop(url, tally, stopping)) for url, tally in tallies.items()]
        while not all(tally.answers for tally in tallies.values()):
            if await stops(stopping, 0.01):
                break
        print("ready")
        await asyncio.gather(*tasks)
        report(tallies)

    asyncio.run(run())


async def stops(stopping, seconds):
    """Waits that long, or until stopping is set; returns whether it is."""
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        pass
    return stopping.is_set()
