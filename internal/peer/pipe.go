package peer

import (
	"io"
	"net/http"
	"sync"
)

// Pipe is a connection to a handler in this process: an http.RoundTripper whose
// answers stream as they are written.
func Pipe(h http.Handler) http.RoundTripper { return pipe{h} }

type pipe struct{ h http.Handler }

// RoundTrip implements http.RoundTripper.
func (p pipe) RoundTrip(req *http.Request) (*http.Response, error) {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "pipe"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	} else if in.ContentLength == 0 && in.Body != http.NoBody {
		in.ContentLength = -1 // what a client does not know is not nothing
	}
	body, out := io.Pipe()
	w := &pipeWriter{header: http.Header{}, out: out, begun: make(chan struct{})}
	resp := &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: body, Request: req, ContentLength: -1}
	go func() {
		defer func() {
			err := io.EOF
			if p := recover(); p != nil { // the handler cut the answer off
				err = io.ErrUnexpectedEOF
				w.fail()
			}
			w.WriteHeader(http.StatusOK)
			out.CloseWithError(err)
			in.Body.Close()
		}()
		p.h.ServeHTTP(w, in)
	}()
	select {
	case <-w.begun:
	case <-req.Context().Done():
		body.CloseWithError(req.Context().Err())
		return nil, req.Context().Err()
	}
	if w.failed {
		return nil, io.ErrUnexpectedEOF
	}
	resp.StatusCode, resp.Header = w.status, w.sent
	resp.Status = http.StatusText(w.status)
	return resp, nil
}

type pipeWriter struct {
	header http.Header
	out    *io.PipeWriter

	once   sync.Once
	begun  chan struct{} // closed when the fields below stand
	status int
	sent   http.Header
	failed bool
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

func (w *pipeWriter) fail() {
	w.once.Do(func() {
		w.failed = true
		close(w.begun)
	})
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.out.Write(p)
}

// Flush implements http.Flusher: nothing is ever held back.
func (w *pipeWriter) Flush() {}
