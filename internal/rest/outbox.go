package rest

import (
	"bytes"
	"net/http"
	"sync"
	"time"
)

// A list is read from a database while it is written to a client, and while it is
// read it holds one of the database's few connections. A client who reads slowly,
// or not at all, must not hold it, too: so what is written goes to an outbox, and
// whoever makes it goes on.

// maxOutbox bounds what waits for one client. Who makes more waits with it; a page
// of a thousand servers is an eighth of that.
const maxOutbox = 16 << 20

// readPatience is how long a client may take for a part of at most some hundred
// KiB, beyond what its connection holds by itself.
const readPatience = 5 * time.Minute

// outbox writes parts in their order, one after the other.
type outbox struct {
	write func([]byte) error

	mu      sync.Mutex
	changed sync.Cond
	waiting []*bytes.Buffer
	size    int
	err     error // of the first write that failed; the others are not tried
	closed  bool
	done    chan struct{}
}

func newOutbox(write func([]byte) error) *outbox {
	o := &outbox{write: write, done: make(chan struct{})}
	o.changed.L = &o.mu
	go o.run()
	return o
}

// put has what is in part written some time, and says whether that has failed for
// one of before. It leaves part empty.
func (o *outbox) put(part *bytes.Buffer) error {
	b := buffers.Get().(*bytes.Buffer)
	*b, *part = *part, *b
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && o.size > 0 && o.size+b.Len() > maxOutbox {
		o.changed.Wait()
	}
	o.waiting, o.size = append(o.waiting, b), o.size+b.Len()
	o.changed.Broadcast()
	return o.err
}

// close waits until all has been written, or has failed.
func (o *outbox) close() error {
	o.mu.Lock()
	o.closed = true
	o.changed.Broadcast()
	o.mu.Unlock()
	<-o.done
	return o.err
}

func (o *outbox) run() {
	defer close(o.done)
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for len(o.waiting) == 0 && !o.closed {
			o.changed.Wait()
		}
		if len(o.waiting) == 0 {
			return
		}
		part := o.waiting[0]
		o.waiting = o.waiting[1:]
		err := o.err
		if err == nil {
			o.mu.Unlock()
			err = o.write(part.Bytes())
			o.mu.Lock()
		}
		o.size -= part.Len()
		recycle(part)
		if o.err == nil {
			o.err = err
		}
		o.changed.Broadcast()
	}
}

func recycle(b *bytes.Buffer) {
	b.Reset()
	if b.Cap() <= 4*chunk {
		buffers.Put(b)
	}
}

// writeItems writes a list. A short one goes out when it is whole; a longer one
// while it is made.
func (s *Service) writeItems(w *recorder, r *Request, resp *Response, buf *bytes.Buffer) error {
	var out *outbox
	head := func() {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status(resp, http.StatusOK))
	}
	err := resp.Items.write(r.Version, buf, func() error {
		if out == nil {
			head()
			out = newOutbox(s.patiently(w))
		}
		return out.put(buf)
	})
	if out != nil {
		if err == nil {
			err = out.put(buf)
		}
		if e := out.close(); err == nil {
			err = e
		}
		return aborted(err)
	}
	if err != nil {
		return err
	}
	head()
	_, err = w.Write(buf.Bytes())
	return aborted(err)
}

// patiently writes to a client that may be slow, but not for ever. A pipe within
// the process knows no deadlines; who reads there has its own.
func (s *Service) patiently(w *recorder) func([]byte) error {
	control := http.NewResponseController(w.ResponseWriter)
	return func(part []byte) error {
		bounded := control.SetWriteDeadline(s.Now().Add(readPatience)) == nil
		_, err := w.Write(part)
		if bounded && err == nil { // the connection goes on
			err = control.SetWriteDeadline(time.Time{})
		}
		return err
	}
}
