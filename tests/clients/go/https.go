package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"
)

// farewell is how long the server goes on after the signal to stop. Its clients have no longer pauses.
const farewell = 3 * time.Second

// serveTLS serves HTTPS on port 8443: HTTP/1 or HTTP/2, as clients like it. After the signal each
// answer is the last one of its connection. Only Shutdown would not do: it closes connections on which
// a request may be on its way.
func serveTLS(stopping context.Context, folder string) {
	var leaving atomic.Bool
	web := &http.Server{Addr: ":8443", Handler: http.HandlerFunc(
		func(response http.ResponseWriter, request *http.Request) {
			if leaving.Load() {
				// By HTTP/2 it is said as a GOAWAY.
				response.Header().Set("Connection", "close")
			}
			answer(response, request)
		})}
	go func() {
		err := web.ListenAndServeTLS(filepath.Join(folder, "server.crt"), filepath.Join(folder, "server.key"))
		if !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()

	<-stopping.Done()
	leaving.Store(true)
	time.Sleep(farewell)
	if err := web.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}
