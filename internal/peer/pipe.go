package peer

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

// Pipe is a connection to a handler in this process: an http.RoundTripper. A short
// answer comes when it is whole, as over TCP, where the server gathers it: the two
// sides then wait for each other once. Longer ones stream as they are written, and so
// does what is flushed.
func Pipe(h http.Handler) http.RoundTripper { return pipe{h} }

type pipe struct{ h http.Handler }

// short is up to how many bytes an answer is gathered.
const short = 16 << 10

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
	go func() {
		defer func() {
			err := io.EOF
			if p := recover(); p != nil { // the handler cut the answer off
				if err = io.ErrUnexpectedEOF; !w.streams {
					w.failed = true
				}
			}
			in.Body.Close()
			w.WriteHeader(http.StatusOK)
			out.CloseWithError(err)
			w.begin()
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
	resp := &http.Response{Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, Request: req, ContentLength: -1}
	if !w.streams {
		resp.Body = io.NopCloser(bytes.NewReader(w.gathered))
	}
	return resp, nil
}

type pipeWriter struct {
	header http.Header
	out    *io.PipeWriter

	once  sync.Once
	begun chan struct{} // closed when the fields below stand

	status   int // 0: none yet
	sent     http.Header
	gathered []byte
	streams  bool
	failed   bool
}

// begin lets the other side have the answer, or its beginning.
func (w *pipeWriter) begin() { w.once.Do(func() { close(w.begun) }) }

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *pipeWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.streams && len(w.gathered)+len(p) <= short {
		w.gathered = append(w.gathered, p...)
		return len(p), nil
	}
	if err := w.stream(); err != nil {
		return 0, err
	}
	return w.out.Write(p)
}

// stream ends the gathering.
func (w *pipeWriter) stream() error {
	if w.streams {
		return nil
	}
	w.streams = true
	gathered := w.gathered
	w.begin()
	if len(gathered) == 0 {
		return nil
	}
	_, err := w.out.Write(gathered)
	return err
}

// Flush implements http.Flusher.
func (w *pipeWriter) Flush() {
	w.WriteHeader(http.StatusOK)
	w.stream() // whoever has gone is noticed at the next write
}
