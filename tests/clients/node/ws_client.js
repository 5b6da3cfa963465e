// ws: bursts of messages, each answered, and silence between them.
'use strict'

const { once } = require('node:events')
const WebSocket = require('ws')
const { pauses, run, stops } = require('./tally.js')

const BURST = 3

async function loop (url, tally, stopping) {
  while (!stopping.aborted) {
    try {
      await talk(new WebSocket(url.replace('http:', 'ws:') + '/ws'), tally, stopping)
    } catch (error) {
      tally.failed(error)
      await stops(stopping, 50)
    }
  }
}

// Until the server closes.
async function talk (socket, tally, stopping) {
  const closed = once(socket, 'close').then(([code]) => code)
  await once(socket, 'open')
  for (const pause of pauses()) {
    for (let number = 0; number < BURST; number++) {
      if (socket.readyState !== WebSocket.OPEN) {
        tally.wasClosed(await closed)
        return
      }
      const sent = Date.now()
      socket.send('x'.repeat(100))
      const [answer, code] = await Promise.race([
        once(socket, 'message').then(([text]) => [text]),
        closed.then(code => [undefined, code])
      ])
      if (answer === undefined) {
        tally.wasClosed(code, Date.now() - sent)
        return
      }
      tally.answered(answer.toString())
    }
    if (await stops(stopping, 400 + pause)) break
  }
  socket.close()
}

run(loop)
