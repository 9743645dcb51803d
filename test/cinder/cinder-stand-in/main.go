// Command cinder-stand-in serves the stand-in of the Block Storage service beside a
// cloud whose configuration names it ([peers] volume = "http://LISTEN/v3"). It asks
// the cloud who its callers are and what images look like, as the user that
// OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME name, of the domain Default.
//
//	cinder-stand-in --listen 127.0.0.1:8776 --identity http://127.0.0.1:8780/identity --image http://127.0.0.1:8780/image
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
	"syscall"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/peer"
	"kilonova/test/cinder"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8776", "`host:port` to serve on")
	identity, image := flag.String("identity", "http://127.0.0.1:8780/identity", "`URL` of the identity API"), flag.String("image", "http://127.0.0.1:8780/image", "`URL` of the image API")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *identity, *image); err != nil {
		fmt.Fprintln(os.Stderr, "cinder-stand-in:", err)
		os.Exit(1)
	}
}

// cached is how long a token is believed without asking again.
const cached = 10 * time.Second

func run(ctx context.Context, listen, identity, image string) error {
	network := peer.Network(nil)
	peers := peer.Table{"identity": {URL: identity, Transport: network}, "image": {URL: image, Transport: network}}
	own, err := peer.NewPasswordTokens(peers, peer.Credentials{Username: os.Getenv("OS_USERNAME"), Password: os.Getenv("OS_PASSWORD"), UserDomain: "Default",
		Project: os.Getenv("OS_PROJECT_NAME"), ProjectDomain: "Default"}, time.Now)
	if err != nil {
		return err
	}
	tokens, err := peer.Validator(peers, own)
	if err != nil {
		return err
	}
	images, err := peers.Client("image", nil)
	if err != nil {
		return err
	}
	volumes := cinder.New()
	volumes.Tokens = auth.NewCached(tokens, cached, time.Now)
	volumes.Image = func(ctx context.Context, id string) (map[string]any, error) {
		var out map[string]any
		err := images.Do(ctx, peer.Call{Method: http.MethodGet, Path: "/v2/images/" + url.PathEscape(id), Out: &out, AsCaller: true})
		return out, err
	}
	server := &http.Server{Addr: listen, Handler: volumes, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
