"""curl: a process, and so a connection, for each POST."""

import os
import subprocess

from tally import pauses, run_threads


def loop(url, tally, stopping):
    command = [os.environ["CURL"], "--silent", "--show-error", "--fail", "--data", "x" * 1000, url]
    environment = {**os.environ, "LD_LIBRARY_PATH": os.environ["CURL_LIBRARIES"]}
    for pause in pauses():
        curl = subprocess.run(command, env=environment, capture_output=True, text=True)
        if curl.returncode == 0:
            tally.answered(curl.stdout)
        else:
            tally.failed(curl.stderr)
        if stopping.wait(pause):
            return


run_threads(loop)
