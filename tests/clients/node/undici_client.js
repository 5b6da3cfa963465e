// undici: request with its global dispatcher, GET and POST in turn; with --http2 as the first argument
// its client for HTTP/2 without TLS, one request after the other.
'use strict'

const { H2CClient, request } = require('undici')
const { asks, run } = require('./tally.js')

const http2 = process.argv[2] === '--http2'
if (http2) process.argv.splice(2, 1)

async function loop (url, tally, stopping) {
  const dispatcher = http2 ? new H2CClient(url) : undefined
  await asks(async number => {
    const post = { method: 'POST', body: 'x'.repeat(1000) }
    const answer = await request(url, { dispatcher, ...(number % 2 ? post : {}) })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`)
    return text
  }, tally, stopping)
}

run(loop)
