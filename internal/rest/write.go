package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"kilonova/internal/fault"
)

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *Service) write(w *recorder, r *Request, resp *Response) error {
	if resp == nil {
		resp = &Response{}
	}
	h := w.Header()
	for k, v := range resp.Header {
		h[k] = v
	}
	if resp.Stream != nil {
		w.WriteHeader(status(resp, http.StatusOK))
		if r.Method == http.MethodHead {
			return nil
		}
		return aborted(resp.Stream(r.Context(), w))
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer recycle(buf)
	if resp.Items != nil {
		return s.writeItems(w, r, resp, buf)
	}
	if resp.Body == nil {
		code := status(resp, http.StatusNoContent)
		if code != http.StatusNoContent {
			h.Set("Content-Length", "0")
		}
		w.WriteHeader(code)
		return nil
	}
	if err := Encode(buf, r.Version, resp.Body); err != nil {
		return err
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", fmt.Sprint(buf.Len()))
	w.WriteHeader(status(resp, http.StatusOK))
	if r.Method != http.MethodHead {
		w.Write(buf.Bytes()) // a client that has gone is not our failure
	}
	return nil
}

func status(r *Response, def int) int {
	if r.Status != 0 {
		return r.Status
	}
	return def
}

// errAborted marks a failure after the head of the answer has gone out.
var errAborted = errors.New("answer cut off")

func aborted(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errAborted, err)
}

// refuse writes err in the service's envelope.
func (s *Service) refuse(w *recorder, r *Request, err error) {
	if errors.Is(err, errAborted) {
		s.Log.Warn("answer cut off", "service", s.Name, "path", r.URL.Path, "request_id", r.ID, "error", err)
		panic(http.ErrAbortHandler) // so that the client sees that it is not whole
	}
	err = s.late(r, err)
	f, ok := errors.AsType[*fault.Error](err)
	code := Status(err)
	if !ok || f.Kind == fault.Internal {
		s.Log.Error("request failed", "service", s.Name, "method", r.Method, "path", r.URL.Path, "request_id", r.ID, "error", err)
		f = &fault.Error{Message: "Unexpected error. Please report it with the request id " + r.ID + "."}
	}
	h := w.Header()
	body, mediaType := s.Envelope(r.Request, code, f, r.ID)
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if code == http.StatusUnauthorized && s.AuthURL != nil {
		h.Set("WWW-Authenticate", `Keystone uri="`+s.AuthURL()+`"`)
	}
	if code == http.StatusMethodNotAllowed {
		h.Set("Allow", strings.Join(r.otherMethods(), ", "))
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int(f.RetryAfter.Seconds())))
	}
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
	io.CopyN(io.Discard, r.Body, 256<<10) // so that the connection can be used again
}

// otherMethods are those that the path knows and that this request was not made with: a
// handler, too, may refuse the one.
func (r *Request) otherMethods() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.methods)), func(m string) bool { return m == r.Method })
}

// late tells an end of time from a failure: the request's own, since who sent it has
// gone or gave it a deadline, and that of something which it needed.
func (s *Service) late(r *Request, err error) error {
	_, told := errors.AsType[*fault.Error](err)
	log := s.Log.With("service", s.Name, "method", r.Method, "path", r.URL.Path, "request_id", r.ID, "error", err)
	switch over := r.Context().Err(); {
	case told || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(over, context.DeadlineExceeded):
		log.Info("request given up: its deadline passed")
	case over != nil:
		log.Info("request given up: who sent it has gone")
	case errors.Is(err, context.Canceled): // by ourselves
		return err
	default:
		log.Error("request not answered: what it needs took too long")
		return fault.Wrap(err, fault.Unavailable, "What this request needs did not answer in time. Please try again.")
	}
	return fault.Wrap(err, fault.Unavailable, "The request was given up before it was answered.")
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

// ReadFrom lets a stream that is copied from a file go out by sendfile.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(w.ResponseWriter, r)
}

// Flush lets streams push what they have.
func (w *recorder) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
