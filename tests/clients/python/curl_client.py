"""curl: one process for each address, with an endless list of POSTs, which reuses its connections.

Its options are for the pace and for what it prints.
"""

import os
import subprocess
from tally import run_threads

# Behind each body: the status, curl's own exit code for the transfer, and what it says of it.
END = "\nend %{http_code} %{exitcode} %{errormsg}\n"


def loop(url, tally, stopping):
    curl = subprocess.Popen(
        [os.environ["CURL"], "--silent", "--no-buffer", "--rate", "5/s"]
        + ["--data", "x" * 1000, "--write-out", END, f"{url}/?[1-1000000000]"],
        env={**os.environ, "LD_LIBRARY_PATH": os.environ["CURL_LIBRARIES"]},
        stdout=subprocess.PIPE,
        text=True,
    )
    body = ""
    for line in curl.stdout:
        if line.startswith("end "):
            _, status, code, message = line.rstrip("\n").split(" ", 3)
            if (status, code) == ("200", "0"):
                tally.answered(body)
            else:
                tally.failed(f"status {status}, exit code {code}: {message}")
            body = ""
            if stopping.is_set():
                break
        else:
            body += line
    else:
        tally.failed(f"curl ended: {curl.wait()}")
    curl.terminate()
    curl.wait()


run_threads(loop)
