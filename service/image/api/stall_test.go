package api

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"kilonova/internal/config"
	"kilonova/service/image/control"
)

// An upload that falls silent ends while its connection lives, and its image can
// be given its data by another.
func TestSilentUpload(t *testing.T) {
	cl := start(t, func(o *control.Options) { o.UploadStall = config.Duration(500 * time.Millisecond) })
	cl.run()
	id := cl.create(nil)
	u, err := url.Parse(cl.url)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /image/v2/images/%s/file HTTP/1.1\r\nHost: x\r\nX-Auth-Token: demo\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\nsome", id, octets)
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") || !strings.Contains(string(answer), "No data has come for 500ms") {
		t.Errorf("%s, %v", answer, err)
	}
	if got := cl.show(id); got["status"] != "queued" {
		t.Error(got["status"])
	}
	cl.eventually("nothing is left", func() bool { return len(cl.files("one")) == 0 })

	// One that is slow, longer than that in all, but never silent for so long.
	slow, w := io.Pipe()
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for range 6 { // 600 ms
			io.WriteString(w, "part")
			<-tick.C
		}
		w.Close()
	}()
	cl.put(id, slow).want(204)
	if got := cl.show(id); got["size"] != 24. {
		t.Error(got["size"])
	}
}
