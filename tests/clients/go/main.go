// Go as a server: net/http with HTTP/1 and HTTP/2 without TLS (from the first byte, or after an
// upgrade of HTTP/1, as Java's own client asks for it) on port 8080, grpc-go on 8082. With a folder
// as its argument, where a certificate is, it serves HTTPS and nothing else.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/grpc"
)

var hello = []byte("hello from " + os.Getenv("POD_NAME") + "\n")

func main() {
	stopping, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	if len(os.Args) > 1 {
		serveTLS(stopping, os.Args[1])
		return
	}
	upgradable := h2c.NewHandler(http.HandlerFunc(answer), new(http2.Server))
	web := &http.Server{Addr: ":8080", Handler: upgradable, Protocols: new(http.Protocols)}
	web.Protocols.SetHTTP1(true)
	web.Protocols.SetUnencryptedHTTP2(true)
	go func() {
		if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()

	calls := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(talk))
	listener, err := net.Listen("tcp", ":8082")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := calls.Serve(listener); err != nil {
			log.Fatal(err)
		}
	}()

	<-stopping.Done()
	if err := web.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	calls.GracefulStop()
}

func answer(response http.ResponseWriter, request *http.Request) {
	// A body that is not whole has a client that left.
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return
	}
	time.Sleep(20 * time.Millisecond)
	response.Write(hello)
}

// talk answers each message of a call, be it one or many.
func talk(_ any, stream grpc.ServerStream) error {
	for {
		var message []byte
		if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.SendMsg(&hello); err != nil {
			return err
		}
	}
}

// raw is a codec for messages that are bytes.
type raw struct{}

func (raw) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (raw) Name() string { return "raw" }
