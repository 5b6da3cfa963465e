// ws: bursts of messages, each answered, and silence between them.
'use strict'

const { once } = require('node:events')
const WebSocket = require('ws')
const { pauses, run, stops } = require('./tally.js')

const BURST = 5

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

// Until the server closes, which it may do in silence only.
async function talk (socket, tally, stopping) {
  const closed = once(socket, 'close')
  await once(socket, 'open')
  for (const pause of pauses()) {
    for (let number = 0; number < BURST; number++) {
      const answer = Promise.race([
        once(socket, 'message'),
        closed.then(([code]) => { throw new Error(`closed with ${code} instead of an answer`) })
      ])
      socket.send('x'.repeat(100))
      const [text] = await answer
      tally.answered(text.toString())
    }
    if (await stops(stopping, 400 + 4 * pause)) break
    if (socket.readyState !== WebSocket.OPEN) {
      const [code] = await closed
      tally.wasClosed(code)
      return
    }
  }
  socket.close()
}

run(loop)
