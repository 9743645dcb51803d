// Command openapi-proxy stands between a client and a cloud, and says at its end,
// on an interrupt, where the answers differed from upstream's OpenAPI files.
//
//	openapi-proxy --listen 127.0.0.1:8781 --target http://127.0.0.1:8780 /identity=identity/v3.14 /image=image/v2.16
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"kilonova/test/compat/openapi"
)

func main() {
	listen, target := flag.String("listen", "127.0.0.1:8781", "`host:port` to serve on"), flag.String("target", "http://127.0.0.1:8780", "`URL` of the cloud")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	wrong, err := run(ctx, *listen, *target, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapi-proxy:", err)
	}
	if err != nil || wrong {
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, target string, services []string) (wrong bool, err error) {
	var mu sync.Mutex
	var all []openapi.Violation
	seen, answers := map[openapi.Operation]bool{}, 0
	t := &openapi.Transport{Contracts: map[string]*openapi.Contract{},
		Report: func(v openapi.Violation) { mu.Lock(); defer mu.Unlock(); all = append(all, v) },
		Checked: func(o openapi.Operation) {
			mu.Lock()
			defer mu.Unlock()
			seen[o] = true
			answers++
		}}
	operations := 0
	for _, s := range services {
		prefix, name, ok := strings.Cut(s, "=")
		if !ok {
			return false, fmt.Errorf("%q is not PREFIX=CONTRACT", s)
		}
		c, err := openapi.Load(filepath.Join(openapi.Folder(), "openapi", name+".yaml"))
		if err != nil {
			return false, err
		}
		t.Contracts[prefix] = c
		operations += len(c.Operations())
	}
	u, err := url.Parse(target)
	if err != nil {
		return false, err
	}
	srv := &http.Server{Addr: listen, Handler: t.Proxy(u)}
	ended := make(chan error, 1)
	go func() { ended <- srv.ListenAndServe() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = srv.Close()
	}
	mu.Lock()
	defer mu.Unlock()
	for _, line := range openapi.Summary(all) {
		fmt.Println("DIFFERS", line)
	}
	fmt.Printf("%d answers checked, of %d of the contract's %d operations; %d differed\n", answers, len(seen), operations, len(all))
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return len(all) > 0, err
}
