"""requests through a gateway: four sessions at a time, GET and POST in turn. What the gateway answers
in the place of a pod is an error."""

import itertools

import requests
from tally import pauses, run_threads

SESSIONS = 4


def session(number):
    def loop(url, tally, stopping):
        client = requests.Session()
        # Each session has the pauses of another place in the sequence.
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
            if stopping.wait(pause):
                return

    return loop


run_threads(*map(session, range(SESSIONS)))
