package cinder

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/image/blob"
)

type object = map[string]any

// version has attachments with a mode.
const version = "volume 3.54"

func (s *Store) do(ctx context.Context, method, path string, in, out any) error {
	return s.service.Do(ctx, peer.Call{Method: method, Path: path, In: in, Out: out, Version: version})
}

// volume is what counts of a volume here.
type volume struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Status   string            `json:"status"`
	Size     int64             `json:"size"` // GiB
	Metadata map[string]string `json:"metadata"`
	Created  string            `json:"created_at"`
	Updated  string            `json:"updated_at"`
	// Multiattach: several may have it.
	Multiattach bool `json:"multiattach"`
	Attachments []struct {
		ID   string `json:"attachment_id"`
		Host string `json:"host_name"`
	} `json:"attachments"`
}

func (v volume) whole() bool { return v.Metadata[metaSize] != "" }

func (v volume) failed() bool { return strings.HasPrefix(v.Status, "error") }

// maxPages bounds a walk through all volumes, a thousand a page.
const maxPages = 1000

// volumes lists those of a name, or with "" all.
func (s *Store) volumes(ctx context.Context, name string) ([]volume, error) {
	query := url.Values{"limit": {"1000"}}
	if name != "" {
		query.Set("name", name)
	}
	var all []volume
	for range maxPages {
		var page struct {
			Volumes []volume `json:"volumes"`
			Links   []struct {
				Rel string `json:"rel"`
			} `json:"volumes_links"`
		}
		if err := s.do(ctx, http.MethodGet, "/volumes/detail?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Volumes...)
		if len(page.Links) == 0 || len(page.Volumes) == 0 {
			return all, nil
		}
		query.Set("marker", page.Volumes[len(page.Volumes)-1].ID)
	}
	return nil, fault.New(fault.Unavailable, "The volume service has more volumes than can be listed.")
}

// named are the volumes of a blob: whole, begun, or on their way out.
func (s *Store) named(ctx context.Context, key string) ([]volume, error) {
	all, err := s.volumes(ctx, namePrefix+key)
	mine := all[:0]
	for _, v := range all {
		if v.Metadata[metaKey] == key && v.Status != "deleting" {
			mine = append(mine, v)
		}
	}
	return mine, err
}

func (s *Store) get(ctx context.Context, id string) (volume, error) {
	var out struct{ Volume volume }
	err := s.do(ctx, http.MethodGet, "/volumes/"+id, nil, &out)
	if fault.Is(err, fault.NotFound) {
		return volume{}, blob.ErrNotFound
	}
	return out.Volume, err
}

// become waits until a volume has one of these statuses. One that has run into an error will not.
func (s *Store) become(ctx context.Context, id string, statuses ...string) error {
	late, cancel := context.WithTimeout(ctx, s.patience) // not a question's: its end would hide the answer
	defer cancel()
	tick := time.NewTicker(s.poll)
	defer tick.Stop()
	for {
		v, err := s.get(ctx, id)
		switch {
		case err != nil:
			return err
		case slices.Contains(statuses, v.Status):
			return nil
		case v.failed():
			return fault.New(fault.Unavailable, "Volume %s is %q and not %q: the volume service has not done its part.", id, v.Status, statuses[0])
		}
		select {
		case <-tick.C:
		case <-late.Done():
			return fault.New(fault.Unavailable, "Volume %s is still %q and not %q.", id, v.Status, statuses[0])
		}
	}
}

// attach lets this host in to a volume and opens it. A volume that is another host's
// for the moment is waited for, unless it may be both's; what an earlier process of
// this host has left is given back.
func (s *Store) attach(ctx context.Context, v volume, mode string) (*os.File, string, error) {
	id := v.ID
	for _, a := range v.Attachments {
		if a.Host == s.host["host"] && !s.holds(a.ID) {
			if err := s.detach(ctx, a.ID); err != nil {
				return nil, "", err
			}
		}
	}
	free := []string{"available"}
	if v.Multiattach {
		free = append(free, "in-use")
	}
	if err := s.become(ctx, id, free...); err != nil {
		return nil, "", err
	}
	var out struct {
		Attachment struct {
			ID         string          `json:"id"`
			Connection json.RawMessage `json:"connection_info"`
		} `json:"attachment"`
	}
	err := s.do(ctx, http.MethodPost, "/attachments", object{"attachment": object{"volume_uuid": id, "connector": s.host, "mode": mode}}, &out)
	if err != nil {
		return nil, "", err
	}
	f, err := s.connect(ctx, id, out.Attachment.Connection, mode)
	if err == nil {
		err = s.do(ctx, http.MethodPost, "/attachments/"+out.Attachment.ID+"/action", object{"os-complete": nil}, nil)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		if back := s.detach(ctx, out.Attachment.ID); back != nil {
			err = fault.Wrap(err, fault.Unavailable, "Volume %s could not be used, nor be given back: %v", id, back)
		}
		return nil, "", err
	}
	return f, out.Attachment.ID, nil
}

// detach gives a volume back; one that is gone is success.
func (s *Store) detach(ctx context.Context, attachment string) error {
	err := s.do(ctx, http.MethodDelete, "/attachments/"+attachment, nil, nil)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// remove takes a volume from whoever has it and deletes it.
func (s *Store) remove(ctx context.Context, v volume) error {
	var held struct {
		Attachments []struct {
			ID string `json:"id"`
		} `json:"attachments"`
	}
	if err := s.do(ctx, http.MethodGet, "/attachments?volume_id="+v.ID, nil, &held); err != nil {
		return err
	}
	for _, a := range held.Attachments {
		if err := s.detach(ctx, a.ID); err != nil {
			return err
		}
	}
	if len(held.Attachments) > 0 || v.Status == "creating" || v.Status == "extending" || v.Status == "detaching" {
		if err := s.settled(ctx, v.ID); err != nil {
			return gone(err)
		}
	}
	if err := s.do(ctx, http.MethodDelete, "/volumes/"+v.ID, nil, nil); err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	return s.vanish(ctx, v.ID)
}

// settled waits until a volume can be deleted.
func (s *Store) settled(ctx context.Context, id string) error {
	err := s.become(ctx, id, "available")
	if v, again := s.get(ctx, id); again == nil && v.failed() {
		return nil
	}
	return err
}

// vanish waits until a volume is no more: "deleting" may yet fail.
func (s *Store) vanish(ctx context.Context, id string) error {
	return gone(s.become(ctx, id, "deleted"))
}

func gone(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}
