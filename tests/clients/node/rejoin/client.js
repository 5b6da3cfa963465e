// Clients of WebSockets that connect again by themselves, each as its library's documents show it first,
// for tests/clients/src/rejoin.rs. The argument is the server's address, "host:port".
'use strict'

const signalr = require('@microsoft/signalr')
const stomp = require('@stomp/stompjs')
const { createClient } = require('graphql-ws')
const { default: PartySocket } = require('partysocket/ws')
const phoenix = require('phoenix')
const ReconnectingWebSocket = require('reconnecting-websocket')
const { retry } = require('rxjs')
const { webSocket } = require('rxjs/webSocket')
const { io } = require('socket.io-client')

const address = process.argv[2]
const ws = (protocol, name) => `ws://${address}/${protocol}/${name}`

// What a library throws into the void ends that library's part, not the others'.
process.on('uncaughtException', error => console.error(Date.now(), error))
process.on('unhandledRejection', error => console.error(Date.now(), error))

function greets (socket) {
  socket.addEventListener('open', () => socket.send('hello'))
  socket.addEventListener('error', () => {})
}

const clients = {
  'reconnecting-websocket': name => greets(new ReconnectingWebSocket(ws('echo', name))),

  partysocket: name => greets(new PartySocket(ws('echo', name))),

  'rxjs-retry': name => {
    const subject = webSocket({ url: ws('echo', name), openObserver: { next: () => subject.next('hello') } })
    subject.pipe(retry({ delay: 1000 })).subscribe({ error: console.error })
  },

  'socket.io-client': name => io(`http://${address}`, { query: { name } }),

  signalr: name => {
    const transport = { skipNegotiation: true, transport: signalr.HttpTransportType.WebSockets }
    new signalr.HubConnectionBuilder()
      .withUrl(`http://${address}/signalr/${name}`, transport)
      .withAutomaticReconnect()
      .configureLogging(signalr.LogLevel.Error)
      .build()
      .start()
  },

  'graphql-ws': name => createClient({ url: ws('graphql-ws', name) }).subscribe(
    { query: 'subscription { greetings }' },
    { next () {}, error: console.error, complete () {} }
  ),

  stompjs: name => new stomp.Client({ brokerURL: ws('stomp', name) }).activate(),

  phoenix: name => {
    const socket = new phoenix.Socket(ws('phoenix', name))
    socket.connect()
    socket.channel('room:lobby').join()
  }
}

for (const [name, start] of Object.entries(clients)) start(name)
// They have nothing else to do between two attempts.
setInterval(() => {}, 1000)
