// What a client program counts, and how it starts and ends: see tests/clients/src/running.rs.
'use strict'

const HELLO = 'hello from '

// What was counted at one service.
class Tally {
  answers = 0
  pods = {}
  errors = {}
  closed = {}
  crossed = 0
  longest = 0
  #last

  // Counts an answer, which must name its pod.
  answered (text) {
    if (!text.startsWith(HELLO)) {
      this.failed(new Error(`an odd answer: ${text}`))
      return
    }
    this.longest = Math.max(this.longest, this.#sinceLast())
    this.#last = performance.now()
    this.answers++
    count(this.pods, text.slice(HELLO.length).trim())
  }

  // Milliseconds since the last answer, if there was one.
  #sinceLast () {
    return this.#last === undefined ? 0 : Math.round(performance.now() - this.#last)
  }

  // Counts an error, and writes it down with its moment, in milliseconds since 1970, and the time since
  // the last answer.
  failed (error) {
    count(this.errors, `${error.name}: ${error.message}${error.code ? ` (${error.code})` : ''}`)
    console.error(`${Date.now()}, ${this.#sinceLast()} ms after an answer:`, error)
  }

  // Counts a WebSocket that the server closed. An answer had been waited for that many milliseconds: the
  // Close may have crossed the message, or have come a second after it, as Ebb says it may; no later.
  wasClosed (code, waited) {
    count(this.closed, code)
    if (waited === undefined) return
    this.crossed++
    if (waited > 5000) this.failed(new Error(`closed with ${code} after ${waited} ms without an answer`))
  }
}

function count (counts, key) {
  counts[key] = (counts[key] ?? 0) + 1
}

// How long to wait between two requests, in milliseconds: up to 400, always the same sequence.
function * pauses () {
  for (let number = 0; ; number = (number * 1103515 + 12345) % 2 ** 31) {
    yield number / 2 ** 31 * 400
  }
}

// Runs loop(url, tally, stopping) for each address until SIGTERM, and then prints what was counted.
// A loop ends soon after stopping is aborted.
async function run (...loops) {
  const controller = new AbortController()
  process.once('SIGTERM', () => controller.abort())
  const tallies = Object.fromEntries(process.argv.slice(2).map(url => [url, new Tally()]))
  const running = Object.entries(tallies).flatMap(([url, tally]) =>
    loops.map(loop => loop(url, tally, controller.signal)))
  while (!Object.values(tallies).every(tally => tally.answers) && !controller.signal.aborted) {
    await stops(controller.signal, 10)
  }
  console.log('ready')
  await Promise.all(running)
  console.log(JSON.stringify(tallies))
  process.exit()
}

// Waits that long, or until stopping is aborted; returns whether it is.
function stops (stopping, milliseconds) {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer)
      stopping.removeEventListener('abort', done)
      resolve(stopping.aborted)
    }
    const timer = setTimeout(done, milliseconds)
    stopping.addEventListener('abort', done)
    if (stopping.aborted) done()
  })
}

// Calls ask(number) again and again, with pauses; it returns the text of an answer.
async function asks (ask, tally, stopping) {
  let number = 0
  for (const pause of pauses()) {
    try {
      tally.answered(await ask(number++))
    } catch (error) {
      tally.failed(error)
    }
    if (await stops(stopping, pause)) return
  }
}

module.exports = { asks, pauses, run, stops }
