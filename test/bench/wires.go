package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"kilonova/internal/peer"
)

// wires compares the two ways in which services reach each other, with an answer
// of 2 KiB and nothing behind it.
func wires(ctx context.Context, n int) (map[string]Distribution, error) {
	answer := []byte(`{"text": "` + strings.Repeat("x", 2048) + `"}`)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	go server.Serve(l)
	url := "http://" + l.Addr().String()
	found := map[string]Distribution{}
	for name, target := range map[string]peer.Target{"pipe": {URL: url, Transport: peer.Pipe(handler)}, "tcp": {URL: url, Transport: peer.Network(nil)}} {
		client, err := peer.Table{"things": target}.Client("things", nil)
		if err != nil {
			return nil, err
		}
		found[name] = measure(ctx, plan{n: n, concurrency: 1, warm: 100, limit: 30 * time.Second}, nil, func(ctx context.Context, _ int) (int, error) {
			var out struct{ Text string }
			err := client.Do(ctx, peer.Call{Method: "GET", Path: "/", Out: &out})
			return len(answer), err
		})
	}
	return found, nil
}
