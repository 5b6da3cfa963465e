"""requests through a gateway: four sessions at a time, GET and POST in turn. What the gateway answers
in the place of a pod is an error."""

from requests_client import session
from tally import run_threads

SESSIONS = 4


run_threads(*map(session, range(SESSIONS)))
