"""requests: a Session, GET and POST in turn."""

import requests
from tally import pauses, run_threads


def loop(url, tally, stopping):
    session = requests.Session()
    for number, pause in enumerate(pauses()):
        try:
            if number % 2:
                answer = session.post(url, data=b"x" * 1000)
            else:
                answer = session.get(url)
            answer.raise_for_status()
            tally.answered(answer.text)
        except requests.RequestException as error:
            tally.failed(error)
        if stopping.wait(pause):
            return


run_threads(loop)
