"""aiohttp as a server: HTTP/1 and WebSocket on port 8080."""

import asyncio
import os

from aiohttp import WSMsgType, web

HELLO = f"hello from {os.environ['POD_NAME']}\n"


async def hello(request):
    await request.read()
    await asyncio.sleep(0.02)
    return web.Response(text=HELLO)


async def talk(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(HELLO)
    print("websocket closed", socket.close_code)
    return socket


app = web.Application()
app.add_routes([web.get("/", hello), web.post("/", hello), web.get("/ws", talk)])
web.run_app(app, host="0.0.0.0", port=8080)
