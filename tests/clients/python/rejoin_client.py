"""Clients of WebSockets that connect again, each as its library's documents show it first, for
tests/clients/src/rejoin.rs. The argument is the server's address, "host:port"."""

import asyncio
import sys
import threading

import socketio
import websocket
import websockets

ADDRESS = sys.argv[1]


async def websockets_for():
    """The loop of the documents: every end is followed by another connection."""
    async for socket in websockets.connect(f"ws://{ADDRESS}/echo/websockets-for"):
        try:
            await socket.send("hello")
            async for _ in socket:
                pass
        except websockets.ConnectionClosed:
            continue


async def websockets_errors():
    """A loop that takes for an error what the library does, and all else for the end."""
    while True:
        try:
            async with websockets.connect(f"ws://{ADDRESS}/echo/websockets-errors") as socket:
                await socket.send("hello")
                async for _ in socket:
                    pass
                return
        except (OSError, websockets.ConnectionClosedError):
            await asyncio.sleep(1)


def websocket_client():
    """It waits for 5 s before each new connection, as its documents have it."""
    app = websocket.WebSocketApp(
        f"ws://{ADDRESS}/echo/websocket-client", on_open=lambda socket: socket.send("hello")
    )
    app.run_forever(reconnect=5)


def python_socketio():
    client = socketio.Client()
    client.connect(f"http://{ADDRESS}?name=python-socketio")
    client.wait()


async def tasks():
    await asyncio.gather(websockets_for(), websockets_errors())
    await asyncio.Event().wait()


for target in websocket_client, python_socketio:
    threading.Thread(target=target, daemon=True).start()
asyncio.run(tasks())
