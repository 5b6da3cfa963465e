// Node as a server: http with ws on port 8080, http2 on 8081, @grpc/grpc-js on 8082. At SIGTERM each
// stops to accept, ends its idle connections, and the process ends with the last one.
'use strict'

const http = require('node:http')
const http2 = require('node:http2')
const grpc = require('@grpc/grpc-js')
const { WebSocketServer } = require('ws')

const HELLO = `hello from ${process.env.POD_NAME}\n`

function answer (request, response) {
  request.resume()
  request.on('end', () => setTimeout(() => response.end(HELLO), 20))
}

// ws refuses whatever else asks for an upgrade: Java's own client does, for HTTP/2.
const shouldUpgradeCallback = request => request.headers.upgrade === 'websocket'
const web = http.createServer({ shouldUpgradeCallback }, answer).listen(8080)
new WebSocketServer({ server: web }).on('connection', socket => {
  socket.on('message', () => socket.send(HELLO))
  socket.on('close', code => console.log('websocket closed', code))
})

const web2 = http2.createServer(answer).listen(8081)
const sessions = new Set()
web2.on('session', session => {
  sessions.add(session)
  session.on('close', () => sessions.delete(session))
})

const same = bytes => bytes
const method = (path, streams) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same
})
const calls = new grpc.Server()
calls.addService({ hello: method('/ebb.Clients/Hello', false), talk: method('/ebb.Clients/Talk', true) }, {
  hello: (_call, callback) => setTimeout(() => callback(null, Buffer.from(HELLO)), 20),
  talk: call => {
    call.on('data', () => call.write(Buffer.from(HELLO)))
    call.on('end', () => call.end())
  }
})
calls.bindAsync('0.0.0.0:8082', grpc.ServerCredentials.createInsecure(), error => {
  if (error) throw error
})

process.once('SIGTERM', () => {
  web.close()
  web2.close()
  sessions.forEach(session => session.close())
  calls.tryShutdown(() => {})
})
