// Node's own http and https with their global agents, GET and POST in turn.
'use strict'

const http = require('node:http')
const https = require('node:https')
const { asks, run } = require('./tally.js')

function ask (url, number) {
  return new Promise((resolve, reject) => {
    const library = url.startsWith('https:') ? https : http
    const request = library.request(url, { method: number % 2 ? 'POST' : 'GET' }, answer => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', piece => { text += piece })
      answer.on('error', reject)
      answer.on('end', () => {
        if (answer.statusCode === 200) resolve(text)
        else reject(new Error(`status ${answer.statusCode}`))
      })
    })
    request.on('error', reject)
    request.end(number % 2 ? 'x'.repeat(1000) : undefined)
  })
}

run((url, tally, stopping) => asks(number => ask(url, number), tally, stopping))
