// Go's net/http as a client of HTTP/2 without TLS. It is the client that a goodbye can hurt: its bodies
// can't be sent twice, so that net/http gives up every request that a server names as not seen once it
// is written. What a client program is given and prints is in tests/clients/src/running.rs; with
// `-pauses LONGEST` it waits up to that long between two requests, with `-workers N` that many go beside
// each other on a connection, and with `-connections N` it has that many of those.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tally is what was counted at one service: `Tally` in tests/clients/src/tally.rs.
type tally struct {
	Answers int            `json:"answers"`
	Pods    map[string]int `json:"pods"`
	Errors  map[string]int `json:"errors"`
	Closed  map[string]int `json:"closed"`
	Crossed int            `json:"crossed"`
	Longest int64          `json:"longest"`

	lock sync.Mutex
	last time.Time
}

// once is a body that can be read one time, of which net/http knows no more.
type once struct{ io.Reader }

func (t *tally) answered(text string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	now := time.Now()
	if !t.last.IsZero() {
		t.Longest = max(t.Longest, now.Sub(t.last).Milliseconds())
	}
	t.last = now
	t.Answers++
	words := strings.Fields(strings.TrimPrefix(text, "hello from "))
	t.Pods[words[0]]++
}

func (t *tally) failed(err error) {
	t.lock.Lock()
	defer t.lock.Unlock()
	fmt.Fprintf(os.Stderr, "%d, %d ms after an answer: %v\n",
		time.Now().UnixMilli(), time.Since(t.last).Milliseconds(), err)
	// Without the address, which says nothing about what is wrong.
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	t.Errors[err.Error()]++
}

func (t *tally) started() bool {
	t.lock.Lock()
	defer t.lock.Unlock()
	return t.Answers > 0
}

func ask(client *http.Client, address string) (string, error) {
	request, err := http.NewRequest("POST", address, once{strings.NewReader(strings.Repeat("x", 1000))})
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK || !strings.HasPrefix(string(text), "hello from ") {
		return "", fmt.Errorf("an odd answer: %s %q", response.Status, text)
	}
	return string(text), nil
}

func work(stopping context.Context, address string, counts *tally, client *http.Client, longest time.Duration) {
	for {
		text, err := ask(client, address)
		switch {
		case err == nil:
			counts.answered(text)
		case errors.Is(err, context.Canceled):
			return
		default:
			counts.failed(err)
		}
		var pause time.Duration
		if longest > 0 {
			pause = rand.N(longest)
		}
		select {
		case <-stopping.Done():
			return
		case <-time.After(pause):
		}
	}
}

func main() {
	longest := flag.Duration("pauses", 400*time.Millisecond, "the longest pause between two requests")
	workers := flag.Int("workers", 1, "how many requests go beside each other")
	connections := flag.Int("connections", 1, "how many connections it has to a service")
	flag.Parse()
	stopping, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	tallies := map[string]*tally{}
	var working sync.WaitGroup
	for _, address := range flag.Args() {
		counts := &tally{Pods: map[string]int{}, Errors: map[string]int{}, Closed: map[string]int{}}
		tallies[address] = counts
		for range *connections {
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetUnencryptedHTTP2(true)
			client := &http.Client{Transport: transport}
			for range *workers {
				working.Go(func() { work(stopping, address, counts, client, *longest) })
			}
		}
	}
	for _, counts := range tallies {
		for !counts.started() && stopping.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	fmt.Println("ready")
	working.Wait()
	text, err := json.Marshal(tallies)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
