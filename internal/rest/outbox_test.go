package rest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A client who asks for a list and does not read it holds nothing: who makes the
// list gets through, and the client has all of it when it reads in the end.
func TestWhoDoesNotReadHoldsNothing(t *testing.T) {
	const parts = 3000
	item := map[string]string{"a": strings.Repeat("x", 4000)} // 12 MB: more than sockets hold
	made := make(chan error, 1)
	s := testService()
	s.Routes = append(s.Routes, Route{Method: "GET", Path: "/long", Handle: func(context.Context, *Request) (*Response, error) {
		return &Response{Items: &Items{Key: "things", Each: func(yield func(any) error) (err error) {
			defer func() { made <- err }()
			for range parts {
				if err = yield(item); err != nil {
					return err
				}
			}
			return nil
		}}}, nil
	}})
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	c, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /v2.1/long HTTP/1.1\r\nHost: x\r\nX-Auth-Token: good\r\n\r\n")
	select {
	case err := <-made:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("who makes the list waits for who does not read it")
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if n := strings.Count(string(body), `"a"`); err != nil || n != parts || !strings.HasSuffix(string(body), "]}") {
		t.Errorf("%d things of %d, %v", n, parts, err)
	}
}

func TestOutboxKeepsOrderBoundAndError(t *testing.T) {
	var got []byte
	o := newOutbox(func(b []byte) error { got = append(got, b...); return nil })
	want := ""
	for i := range 100 {
		part := fmt.Sprint(i, " ")
		want += part
		if err := o.put(bytes.NewBufferString(part)); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.close(); err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}

	// Who makes more than the bound waits until something has gone out.
	var mu sync.Mutex
	gate, written := make(chan struct{}), 0
	o = newOutbox(func(b []byte) error {
		<-gate
		mu.Lock()
		defer mu.Unlock()
		written += len(b)
		return nil
	})
	part, put := make([]byte, maxOutbox/4), make(chan error)
	go func() {
		for range 6 {
			put <- o.put(bytes.NewBuffer(slices.Clone(part)))
		}
	}()
	for range 4 {
		if err := <-put; err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-put:
		t.Fatal("the outbox has no bound")
	case <-time.After(50 * time.Millisecond):
	}
	close(gate)
	for range 2 {
		if err := <-put; err != nil {
			t.Fatal(err)
		}
	}
	if err := o.close(); err != nil || written != 6*len(part) {
		t.Errorf("%d written, %v", written, err)
	}

	// When the client has gone nothing more is tried.
	broken, tries := errors.New("gone"), 0
	o = newOutbox(func([]byte) error { tries++; return broken })
	for range 10 {
		_ = o.put(bytes.NewBufferString("x"))
	}
	if err := o.close(); !errors.Is(err, broken) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
}
