"""httpx: a Client, GET and POST in turn; with --http2 as the first argument without HTTP/1."""

import sys

import httpx
from tally import pauses, run_threads

HTTP2 = sys.argv[1:2] == ["--http2"]
if HTTP2:
    del sys.argv[1]


def loop(url, tally, stopping):
    # A server that has just started may take longer than httpx' 5 s for its first answers where
    # everything of a cluster shares two cores. No other client of these gives up that soon.
    limits = {"timeout": 60}
    # Without TLS nothing can be negotiated: HTTP/2 is spoken where HTTP/1 is refused.
    client = httpx.Client(http1=False, http2=True, **limits) if HTTP2 else httpx.Client(**limits)
    for number, pause in enumerate(pauses()):
        try:
            answer = client.post(url, content=b"x" * 1000) if number % 2 else client.get(url)
            answer.raise_for_status()
            tally.answered(answer.text)
        except httpx.HTTPError as error:
            tally.failed(error)
        if stopping.wait(pause):
            return


run_threads(loop)
