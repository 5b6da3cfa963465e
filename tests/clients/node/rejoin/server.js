// What clients come back to, for tests/clients/src/rejoin.rs: on port 8080, at /PROTOCOL/NAME, as much
// of a library's protocol as makes its client believe that it is connected. Prints "joined NAME" and
// "left NAME CODE" (socket.io tells no code), each with the moment in milliseconds since 1970.
'use strict'

const http = require('node:http')
const { Server } = require('socket.io')
const { WebSocketServer } = require('ws')

// Answers a message, and returns whether the client is connected by it.
const protocols = {
  echo: (text, send) => {
    send(text)
    return true
  },
  // The hub protocol of SignalR: records that end with 0x1e, a handshake first, pings from both sides.
  signalr: (text, send) => {
    const handshake = text.includes('"protocol"')
    send(handshake ? '{}\x1e' : '{"type":6}\x1e')
    return handshake
  },
  'graphql-ws': (text, send) => {
    const { type } = JSON.parse(text)
    if (type === 'connection_init') send('{"type":"connection_ack"}')
    return type === 'subscribe'
  },
  stomp: (text, send) => {
    const connects = text.startsWith('CONNECT') || text.startsWith('STOMP')
    if (connects) send('CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0')
    return connects
  },
  phoenix: (text, send) => {
    const [join, reference, topic, event] = JSON.parse(text)
    send(JSON.stringify([join, reference, topic, 'phx_reply', { status: 'ok', response: {} }]))
    return event === 'phx_join'
  }
}

const say = (...words) => console.log(...words, Date.now())

const web = http.createServer()
const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: offered => offered.values().next().value
})
web.on('upgrade', (request, connection, head) => {
  const [, protocol, name] = new URL(request.url, 'ws://here').pathname.split('/')
  if (!Object.hasOwn(protocols, protocol)) return
  sockets.handleUpgrade(request, connection, head, socket => {
    const send = answer => socket.send(answer)
    socket.on('message', bytes => {
      if (protocols[protocol](bytes.toString(), send)) say('joined', name)
    })
    socket.on('close', code => say('left', name, code))
  })
})
// Last, since it listens for upgrades too.
new Server(web, { destroyUpgrade: false }).on('connection', socket => {
  const { name } = socket.handshake.query
  say('joined', name)
  socket.conn.once('close', () => say('left', name))
})
web.listen(8080)

process.once('SIGTERM', () => process.exit())
