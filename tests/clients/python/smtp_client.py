"""smtplib: sessions of twenty mails each, with a pause before each. It says nothing before the server has
greeted it."""

import smtplib
import time
from itertools import islice
from urllib.parse import urlsplit

from tally import pauses, run_threads

# Mails for each session; with the pauses it is longer than the time for which a leaving pod accepts.
MAILS = 20

# Clients beside each other: in each moment a session is open.
CLIENTS = 2

# Seconds that a greeting may take, on a computer that is busy.
GREETING = 5


def sessions(number):
    """The loop of one client. Each number has the pauses of another place in the sequence."""

    def loop(url, tally, stopping):
        address = urlsplit(url)
        pause = islice(pauses(), 100 * number, None)
        while not stopping.is_set():
            dialed = time.monotonic()
            try:
                with smtplib.SMTP(address.hostname, address.port) as session:
                    waited = time.monotonic() - dialed
                    if waited > GREETING:
                        tally.failed(f"greeted after {waited:.1f} s")
                    for seconds in islice(pause, MAILS):
                        if stopping.wait(seconds):
                            break
                        mail(session, tally)
            except (OSError, smtplib.SMTPException) as error:
                tally.failed(error)
                stopping.wait(0.05)

    return loop


def mail(session, tally):
    session.ehlo_or_helo_if_needed()
    session.mail("a@example.org")
    session.rcpt("b@example.org")
    code, text = session.data("Subject: hello\r\n\r\n" + "x" * 900)
    if code == 250:
        tally.answered(text.decode())
    else:
        tally.failed(f"{code} {text.decode()}")


run_threads(*map(sessions, range(CLIENTS)))
