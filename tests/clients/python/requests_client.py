"""requests: a Session, GET and POST in turn; with --resting as the first argument each follows a pause of
two to three seconds."""

import itertools
import sys

import requests
from tally import pauses, run_threads

RESTING = sys.argv[1:2] == ["--resting"]
if RESTING:
    del sys.argv[1]


def session(number):
    """The loop of one session. Each number has the pauses of another place in the sequence."""

    def loop(url, tally, stopping):
        client = requests.Session()
        for count, pause in enumerate(itertools.islice(pauses(), 100 * number, None)):
            try:
                if count % 2:
                    answer = client.post(url, data=b"x" * 1000)
                else:
                    answer = client.get(url)
                answer.raise_for_status()
                tally.answered(answer.text)
            except requests.RequestException as error:
                tally.failed(error)
            if stopping.wait(2 + 2.5 * pause if RESTING else pause):
                return

    return loop


if __name__ == "__main__":
    run_threads(session(0))
