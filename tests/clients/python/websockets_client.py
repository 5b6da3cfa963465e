"""websockets: bursts of messages, each answered, and silence between them."""

import websockets
from tally import pauses, run_tasks, stops

# Messages for each burst.
BURST = 5


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
    """Until the server closes, which it may do in silence only."""
    for pause in pauses():
        if socket.state is not websockets.State.OPEN:
            await socket.wait_closed()
            tally.was_closed(socket.close_code)
            return
        for _ in range(BURST):
            await socket.send("x" * 100)
            tally.answered(await socket.recv())
        if await stops(stopping, 0.4 + 4 * pause):
            return


run_tasks(loop)
