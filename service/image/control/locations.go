package control

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/diskimage"
	"kilonova/internal/fault"
	"kilonova/service/image"
	"kilonova/service/image/blob"
)

// Validation is what somebody who names a location says of the data there.
type Validation struct {
	Checksum  string // MD5; "" not said. So the next two.
	HashAlgo  string
	HashValue string
}

// place is a location that a client named, looked at before anything is written.
type place struct {
	image.Location
	validation Validation
	size       int64
}

// Locations returns an image for those who may know where its data lies: other
// services.
func (c *Control) Locations(ctx context.Context, id string) (*image.Image, error) {
	s, err := c.seeFor(ctx, id, "fetch_image_location")
	if err != nil {
		return nil, err
	}
	return s.Image, nil
}

// ShowsLocations reports whether the caller may see where an image's data lies.
func (c *Control) ShowsLocations(ctx context.Context, i *image.Image) bool {
	return policy.Allows(ctx, "get_image_location", auth.Target{"project_id": i.Owner, "owner": i.Owner, "visibility": string(i.Visibility)})
}

// foreign finds the store that reads what is at an address; fault.Invalid if
// there is none. Files of this host and addresses with secrets have none
// (OSSA-2015-002, OSSA-2014-041).
func (c *Control) foreign(address string) (*Backend, blob.Foreign, error) {
	var refused error
	for n := range c.backends {
		f, ok := c.backends[n].Blobs.(blob.Foreign)
		if !ok {
			continue
		}
		if refused = f.CheckURL(address); refused == nil {
			return &c.backends[n], f, nil
		}
	}
	if refused == nil {
		refused = fault.Invalidf("Invalid location: no store of this service reads %.200s", address)
	}
	return nil, nil, refused
}

// readPlace reads a location as clients write it.
func readPlace(value any) (*place, error) {
	fields, ok := value.(map[string]any)
	if !ok {
		return nil, fault.Invalidf("A location must be an object with the members url and metadata.")
	}
	p := &place{size: -1}
	if p.URL, ok = fields["url"].(string); !ok || p.URL == "" || len(p.URL) > 2048 {
		return nil, fault.Invalidf("A location must have a url of 1 to 2048 characters.")
	}
	if p.Metadata, ok = fields["metadata"].(map[string]any); !ok && fields["metadata"] != nil {
		return nil, fault.Invalidf("The metadata of a location must be an object.")
	}
	for name := range fields {
		if name != "url" && name != "metadata" && name != "validation_data" {
			return nil, fault.Invalidf("A location has no member %.64q.", name)
		}
	}
	if fields["validation_data"] == nil {
		return p, nil
	}
	data, ok := fields["validation_data"].(map[string]any)
	if !ok {
		return nil, fault.Invalidf("The validation_data of a location must be an object.")
	}
	for name, v := range data {
		into, known := map[string]*string{"checksum": &p.validation.Checksum, "os_hash_algo": &p.validation.HashAlgo, "os_hash_value": &p.validation.HashValue}[name]
		text, isText := v.(string)
		if !known || !isText || len(text) > 128 {
			return nil, fault.Invalidf("The member %.64q of a location's validation_data is not understood.", name)
		}
		*into = text
	}
	return p, nil
}

// visit asks the store of a location what is there, and looks into it: whoever
// names data must not get around what an upload would have met.
func (c *Control) visit(ctx context.Context, i *image.Image, p *place) error {
	b, f, err := c.foreign(p.URL)
	if err != nil {
		return err
	}
	p.Store = b.ID
	r, err := f.OpenURL(ctx, p.URL)
	if err != nil {
		if fault.Is(err, fault.Invalid) {
			return err
		}
		return fault.Wrap(err, fault.Invalid, "Invalid location: what is at %.200s cannot be read.", p.URL)
	}
	defer r.Close()
	if p.size = r.Size(); p.size > c.o.ImageSizeCap {
		return fault.New(fault.TooLarge, "The image at the location is too large: at most %d bytes are taken.", c.o.ImageSizeCap)
	}
	in := &diskimage.Inspector{}
	for buf := make([]byte, 64<<10); !in.Settled(); {
		n, err := r.Read(buf)
		in.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "Invalid location: what is at %.200s cannot be read.", p.URL)
		}
	}
	return c.acceptable(i, in.Info())
}

// visits looks at the locations that changes add, before the transaction.
func (c *Control) visits(ctx context.Context, i *image.Image, changes []Change) (map[string]*place, error) {
	seen := map[string]*place{}
	for _, ch := range changes {
		if ch.Path[0] != "locations" || ch.Op == "remove" {
			continue
		}
		list, ok := ch.Value.([]any)
		if !ok || ch.Op == "add" {
			list = []any{ch.Value}
		}
		if len(list) > 100 {
			return nil, fault.Invalidf("An image can have at most 100 locations.")
		}
		for _, value := range list {
			p, err := readPlace(value)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(i.Locations, func(l image.Location) bool { return l.URL == p.URL }) {
				continue // known
			}
			if err := c.visit(ctx, i, p); err != nil {
				return nil, err
			}
			seen[p.URL] = p
		}
	}
	return seen, nil
}

// permitLocations checks that the caller may change locations by patches.
func (c *Control) permitLocations(ctx context.Context, s *seen, ch Change) error {
	verb, rule := "update", "set_image_location"
	switch ch.Op {
	case "add":
		verb = "add"
	case "remove":
		verb, rule = "remove", "delete_image_location"
	}
	if !c.o.ShowLocations {
		return fault.Forbiddenf("It's not allowed to %s locations if locations are invisible.", verb)
	}
	if most := map[string]int{"add": 2, "remove": 2, "replace": 1}[ch.Op]; len(ch.Path) > most || ch.Op != "replace" && len(ch.Path) != 2 {
		return fault.Invalidf("Invalid JSON pointer for this resource: '/locations'")
	}
	if err := policy.Enforce(ctx, "modify_image", s.target); err != nil {
		return err
	}
	return policy.Enforce(ctx, rule, s.target)
}

// changeLocations is one operation upon an image's locations. visited are those
// that were looked at.
func (c *Control) changeLocations(i *image.Image, ch Change, visited map[string]*place) error {
	if i.Status != image.Active && (i.Status != image.Queued || ch.Op == "remove") {
		return fault.Conflictf("It's not allowed to %s locations if image status is %s.", ch.Op, i.Status)
	}
	switch ch.Op {
	case "add":
		p, err := readPlace(ch.Value)
		if err != nil {
			return err
		}
		at, ok := position(ch.Path[1], len(i.Locations), len(i.Locations))
		if !ok {
			return fault.Invalidf("Invalid position for adding a location.")
		}
		if err := c.validated(i, p.validation); err != nil {
			return err
		}
		if slices.ContainsFunc(i.Locations, func(l image.Location) bool { return l.URL == p.URL }) {
			return fault.Invalidf("The location %.200s already exists", p.URL)
		}
		return c.insertPlace(i, at, visited[p.URL])
	case "remove":
		if len(i.Locations) == 1 {
			return fault.Forbiddenf("Cannot remove last location in the image.")
		}
		at, ok := position(ch.Path[1], len(i.Locations)-1, len(i.Locations)-1)
		if !ok {
			return fault.Invalidf("Invalid position for removing a location.")
		}
		i.Locations = slices.Delete(slices.Clone(i.Locations), at, at+1)
		return nil
	}
	return c.replaceLocations(i, ch.Value, visited)
}

// position reads an index of a JSON pointer; "-" is the end.
func position(text string, end, most int) (int, bool) {
	if text == "-" {
		return end, true
	}
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil && int(n) <= most
}

func (c *Control) insertPlace(i *image.Image, at int, p *place) error {
	if p == nil {
		return fault.Conflictf("The locations of image %s were changed by somebody else at the same time.", i.ID)
	}
	if limit := c.o.ImageLocationQuota; limit >= 0 && len(i.Locations) >= limit {
		return exceeded("image locations for this image", len(i.Locations)+1, limit)
	}
	if i.Status == image.Queued {
		if err := i.To(image.Active); err != nil {
			return err
		}
		i.Status, i.Size = image.Active, &p.size
		v := p.validation
		i.Checksum, i.HashAlgo, i.HashValue = v.Checksum, v.HashAlgo, v.HashValue
	}
	l := p.Location
	l.Metadata = maps.Clone(l.Metadata)
	if l.Metadata == nil {
		l.Metadata = map[string]any{}
	}
	l.Metadata["store"] = l.Store
	i.Locations = slices.Insert(slices.Clone(i.Locations), at, l)
	return nil
}

// replaceLocations gives a queued image its locations. Those of an active one
// can only be put in another order, and get other metadata.
func (c *Control) replaceLocations(i *image.Image, value any, visited map[string]*place) error {
	list, ok := value.([]any)
	if !ok {
		return fault.Invalidf("Locations must be a list.")
	}
	var all []*place
	for _, v := range list {
		p, err := readPlace(v)
		if err != nil {
			return err
		}
		if err := c.validated(i, p.validation); err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o *place) bool { return o.URL == p.URL }) {
			return fault.Invalidf("The location %.200s is named twice.", p.URL)
		}
		all = append(all, p)
	}
	if i.Status == image.Queued {
		if len(all) == 0 {
			return fault.Invalidf("Original locations is not empty: an image without data cannot get an empty list of locations.")
		}
		for _, p := range all {
			if err := c.insertPlace(i, len(i.Locations), visited[p.URL]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) != len(i.Locations) {
		return fault.Invalidf("Original locations is not empty: they cannot be replaced by others.")
	}
	var next []image.Location
	for _, p := range all {
		at := slices.IndexFunc(i.Locations, func(l image.Location) bool { return l.URL == p.URL })
		if at < 0 {
			return fault.Invalidf("Original locations is not empty: they cannot be replaced by others.")
		}
		l := i.Locations[at]
		l.Metadata = maps.Clone(p.Metadata)
		if l.Metadata == nil {
			l.Metadata = map[string]any{}
		}
		l.Metadata["store"] = l.Store
		next = append(next, l)
	}
	i.Locations = next
	return nil
}

// validated checks what a client says of a location's data against what is known
// of the image's.
func (c *Control) validated(i *image.Image, v Validation) error {
	var fresh []string
	for _, f := range []struct{ name, said, known string }{
		{"checksum", v.Checksum, i.Checksum}, {"os_hash_algo", v.HashAlgo, i.HashAlgo}, {"os_hash_value", v.HashValue, i.HashValue},
	} {
		switch {
		case f.said == "" || f.said == f.known:
		case f.known != "":
			return fault.Conflictf("%s is already set with a different value", f.name)
		default:
			fresh = append(fresh, f.name)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if i.Status != image.Queued {
		return fault.Conflictf("New value(s) for %s may only be provided when image status is 'queued'", fresh)
	}
	if v.Checksum != "" && !isHex(v.Checksum, 16) {
		return fault.Conflictf("checksum (%s) is not a hexadecimal value of 16 bytes", v.Checksum)
	}
	if v.HashAlgo != c.o.HashingAlgorithm {
		return fault.Conflictf("os_hash_algo must be %s, not %s", c.o.HashingAlgorithm, v.HashAlgo)
	}
	if want := newHash(c.o.HashingAlgorithm).Size(); !isHex(v.HashValue, want) {
		return fault.Conflictf("os_hash_value (%s) is not a hexadecimal value of %d bytes, as %s needs", v.HashValue, want, v.HashAlgo)
	}
	return nil
}

func isHex(text string, size int) bool {
	data, err := hex.DecodeString(text)
	return err == nil && len(data) == size
}

// saveLocations writes what differs between an image's locations as they were
// and as they are to be. Data that is nobody's any more is removed.
func (c *Control) saveLocations(ctx context.Context, tx *db.Tx, was, next *image.Image) error {
	if reflect.DeepEqual(was.Locations, next.Locations) {
		return nil
	}
	if err := c.store.ReplaceLocations(ctx, tx, next.ID, next.Locations); err != nil {
		return fmt.Errorf("locations: %w", err)
	}
	for _, l := range was.Locations {
		kept := slices.ContainsFunc(next.Locations, func(n image.Location) bool { return n.Store == l.Store && n.Key == l.Key })
		if !kept {
			if err := c.discard(ctx, tx, l.Store, l.Key); err != nil {
				return err
			}
		}
	}
	return nil
}
