"""An application for ASGI servers."""

import asyncio
import os

HELLO = f"hello from {os.environ['POD_NAME']}\n"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websocket(receive, send)
    else:
        await http(receive, send)


async def lifespan(receive, send):
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def http(receive, send):
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.02)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HELLO.encode()})


async def websocket(receive, send):
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": HELLO})
        else:
            print("websocket closed", event["code"])
            return
