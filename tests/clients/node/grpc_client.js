// @grpc/grpc-js: unary calls, and beside them streams in both directions, on one channel.
'use strict'

const grpc = require('@grpc/grpc-js')
const { asks, pauses, run, stops } = require('./tally.js')

// Messages for each stream; with the pauses between them it lasts a second.
const MESSAGES = 5

const same = bytes => bytes

const connect = url => new grpc.Client(new URL(url).host, grpc.credentials.createInsecure())

function unary (url, tally, stopping) {
  const client = connect(url)
  const ask = () => new Promise((resolve, reject) => {
    client.makeUnaryRequest('/ebb.Clients/Hello', same, same, Buffer.alloc(1000, 'x'),
      (error, answer) => error ? reject(error) : resolve(answer.toString()))
  })
  return asks(ask, tally, stopping)
}

async function streams (url, tally, stopping) {
  // A client of the same address with the same options shares the connection.
  const client = connect(url)
  while (!stopping.aborted) {
    const stream = client.makeBidiStreamRequest('/ebb.Clients/Talk', same, same)
    const answers = stream[Symbol.asyncIterator]()
    try {
      let number = 0
      for (const pause of pauses()) {
        if (++number > MESSAGES) break
        stream.write(Buffer.alloc(100, 'x'))
        const { done, value } = await answers.next()
        if (done) throw new Error('a stream ended before its last answer')
        tally.answered(value.toString())
        await stops(stopping, pause)
      }
      stream.end()
      if (!(await answers.next()).done) throw new Error('one answer too many')
    } catch (error) {
      tally.failed(error)
      stream.cancel()
      await stops(stopping, 50)
    }
  }
}

run(unary, streams)
