"""aiohttp: a ClientSession, GET and POST in turn."""

import aiohttp
from tally import pauses, run_tasks, stops


async def loop(url, tally, stopping):
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for number, pause in enumerate(pauses()):
            try:
                request = session.post(url, data=b"x" * 1000) if number % 2 else session.get(url)
                async with request as answer:
                    tally.answered(await answer.text())
            except (aiohttp.ClientError, TimeoutError) as error:
                tally.failed(error)
            if await stops(stopping, pause):
                return


run_tasks(loop)
