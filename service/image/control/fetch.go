package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/service/image"
)

const fetchStall = time.Minute // without a byte

// fromWeb names a user's address in refusals.
const fromWeb = "URI for web-download"

// fetch brings what a URI names into the staging area.
func (c *Control) fetch(ctx context.Context, i *image.Image, p *importPayload, most limit) error {
	if err := c.o.Filtering.Permit(fromWeb, p.URI); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URI, nil)
	if err != nil {
		return fault.Wrap(err, fault.Invalid, "The URI for web-download cannot be used.")
	}
	resp, err := c.o.Filtering.Client(fromWeb).Do(req)
	if err != nil {
		if f, ok := errors.AsType[*fault.Error](err); ok {
			return f
		}
		return fault.Wrap(err, fault.Invalid, "The URI for web-download cannot be reached.")
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fault.Invalidf("The URI for web-download answers with status %d.", resp.StatusCode)
	}
	if resp.ContentLength > most.bytes {
		return most.err
	}
	if err := c.noteBlob(ctx, i.ID, stagingID, p.Stage); err != nil {
		return err
	}
	stall := time.AfterFunc(fetchStall, cancel)
	defer stall.Stop()
	data := &watched{resp.Body, stall}
	if _, err := c.take(ctx, i, c.staging, p.Stage, Upload{Data: data, Size: resp.ContentLength, again: true}, most, func(*diskimage.Info) error { return nil }); err != nil {
		return fmt.Errorf("web-download: %w", err)
	}
	return nil
}

// watched puts off the end of a fetch with each byte that comes.
type watched struct {
	r     io.Reader
	stall *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if n > 0 {
		w.stall.Reset(fetchStall)
	}
	return n, err
}
