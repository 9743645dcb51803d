package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
)

func BenchmarkList1000(b *testing.B) {
	cl := start(b, nil)
	for n := range 1000 {
		cl.create(fields{"name": fmt.Sprint("image-", n), "os_distro": "debian", "hw_disk_bus": "virtio", "tags": []string{"a", "b"}})
	}
	for b.Loop() {
		cl.do("demo", "GET", "/v2/images?limit=1000", nil).want(200)
	}
}

func BenchmarkShow(b *testing.B) {
	cl := start(b, nil)
	id := cl.create(fields{"os_distro": "debian", "tags": []string{"a", "b"}})
	for b.Loop() {
		cl.do("demo", "GET", "/v2/images/"+id, nil).want(200)
	}
}

func BenchmarkCreate(b *testing.B) {
	cl := start(b, nil)
	for b.Loop() {
		cl.create(fields{"os_distro": "debian", "tags": []string{"a", "b"}})
	}
}

func BenchmarkUpload64MiB(b *testing.B) {
	cl := start(b, nil)
	data := make([]byte, 64<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		cl.put(cl.create(nil), bytes.NewReader(data)).want(204)
	}
}

func BenchmarkDownload64MiB(b *testing.B) {
	cl := start(b, nil)
	id := cl.create(nil)
	cl.put(id, make([]byte, 64<<20)).want(204)
	b.SetBytes(64 << 20)
	for b.Loop() {
		req, _ := http.NewRequest("GET", cl.url+"/v2/images/"+id+"/file", nil)
		req.Header.Set("X-Auth-Token", "demo")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 64<<20 {
			b.Fatal(n, err)
		}
		resp.Body.Close()
	}
}
