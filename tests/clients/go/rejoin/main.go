// Clients of WebSockets that connect again where their program takes an end for an error, for
// tests/clients/src/rejoin.rs. The argument is the server's address, "host:port". Neither library
// connects again by itself: the condition of each loop is the one that its documents show.
package main

import (
	"context"
	"os"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// gorillaLoop goes on after what gorilla/websocket calls an unexpected end.
func gorillaLoop(address string) {
	for {
		connection, _, err := gorilla.DefaultDialer.Dial("ws://"+address+"/echo/gorilla", nil)
		if err == nil {
			err = connection.WriteMessage(gorilla.TextMessage, []byte("hello"))
			for err == nil {
				_, _, err = connection.ReadMessage()
			}
			connection.Close()
			if gorilla.IsCloseError(err, gorilla.CloseNormalClosure, gorilla.CloseGoingAway) {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

// coderLoop goes on after everything but a normal closure.
func coderLoop(address string) {
	background := context.Background()
	for {
		connection, _, err := coder.Dial(background, "ws://"+address+"/echo/coder", nil)
		if err == nil {
			err = connection.Write(background, coder.MessageText, []byte("hello"))
			for err == nil {
				_, _, err = connection.Read(background)
			}
			connection.CloseNow()
			if coder.CloseStatus(err) == coder.StatusNormalClosure {
				return
			}
		}
		time.Sleep(time.Second)
	}
}

func main() {
	go gorillaLoop(os.Args[1])
	go coderLoop(os.Args[1])
	select {}
}
