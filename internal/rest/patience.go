package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"kilonova/internal/fault"
)

// Patience has reading the body fail with fault.Invalid when nothing has come
// for so long: a client may be slow for as long as it likes, but not silent. 0
// waits for ever, as does a connection within the process.
func (r *Request) Patience(d time.Duration) {
	if d > 0 && r.writer != nil {
		r.Body = Patient(r.writer, r.Body, d, r.service.Now)
	}
}

// Patient is Patience for a request that does not come by a Service: body with w, its
// answer's writer.
func Patient(w http.ResponseWriter, body io.ReadCloser, d time.Duration, now func() time.Time) io.ReadCloser {
	return &patient{ReadCloser: body, control: http.NewResponseController(w), patience: d, now: now}
}

type patient struct {
	io.ReadCloser
	control  *http.ResponseController
	patience time.Duration
	now      func() time.Time
	over     error // the client has been silent for too long
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	if p.over != nil {
		return 0, p.over
	}
	bounded := p.control.SetReadDeadline(p.now().Add(p.patience)) == nil
	n, err := p.ReadCloser.Read(b)
	switch {
	case !bounded:
	case errors.Is(err, os.ErrDeadlineExceeded):
		p.over = fault.Wrap(err, fault.Invalid, "No data has come for %s: the request is given up.", p.patience)
		return n, p.over
	case err != nil: // what comes next on the connection has its own deadlines
		if e := p.control.SetReadDeadline(time.Time{}); e != nil {
			return n, fmt.Errorf("%w (%w)", err, e)
		}
	}
	return n, err
}
