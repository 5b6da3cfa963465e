"""websockets: bursts of messages, each answered, and silence between them."""

import time

import websockets
from tally import pauses, run_tasks, stops

# Messages for each burst.
BURST = 3


async def loop(url, tally, stopping):
    address = url.replace("http://", "ws://") + "/ws"
    while not stopping.is_set():
        try:
            async with websockets.connect(address) as socket:
                await talk(socket, tally, stopping)
        except (OSError, websockets.WebSocketException) as error:
            tally.failed(error)
            await stops(stopping, 0.05)


async def talk(socket, tally, stopping):
    """Until the server closes."""
    for pause in pauses():
        for _ in range(BURST):
            sent = None
            try:
                await socket.send("x" * 100)
                sent = time.monotonic()
                tally.answered(await socket.recv())
            except websockets.ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 1006
                tally.was_closed(code, None if sent is None else time.monotonic() - sent)
                return
        if await stops(stopping, 0.4 + pause):
            return


run_tasks(loop)
