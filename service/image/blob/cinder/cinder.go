package cinder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/internal/peer"
	"kilonova/service/image/blob"
)

// Options are a store's configuration, by upstream's names.
type Options struct {
	AuthAddress   string `toml:"cinder_store_auth_address"` // of the identity service, with its version
	User          string `toml:"cinder_store_user_name"`
	Password      string `toml:"cinder_store_password"`
	Project       string `toml:"cinder_store_project_name"`
	UserDomain    string `toml:"cinder_store_user_domain_name"`    // "" Default
	ProjectDomain string `toml:"cinder_store_project_domain_name"` // "" Default
	Region        string `toml:"cinder_os_region_name"`            // "" any
	// Endpoint is where the volume service is, with its version; %(project_id)s stands
	// for the project's id. "" is where the catalog says.
	Endpoint   string `toml:"cinder_endpoint_template"`
	VolumeType string `toml:"cinder_volume_type"` // "" the service's default
	// Patience is how long a volume may take from one state to the next, in seconds.
	Patience   int    `toml:"cinder_state_transition_timeout"`
	MountPoint string `toml:"cinder_mount_point_base"`
}

// Store implements blob.Store.
type Store struct {
	o        Options
	service  *peer.Client
	run      host.Runner
	host     map[string]any // the connector
	patience time.Duration
	poll     time.Duration

	mu   sync.Mutex
	open map[string]*shared // by volume: what several readers of this process have of one attachment
}

// The metadata of a volume that is a blob's.
const (
	metaKey    = "image_store_key"
	metaSize   = "image_size" // as upstream names it; there only once the blob is whole
	namePrefix = "image-"
)

// New checks the options. A volume service that does not answer is no error here: it
// may come later. hostName and address are this host's, for those who let it in.
func New(o Options, hostName, address string, run host.Runner, now func() time.Time) (*Store, error) {
	if o.AuthAddress == "" || o.User == "" || o.Password == "" || o.Project == "" {
		return nil, errors.New("image store: cinder_store_auth_address, cinder_store_user_name, cinder_store_password and cinder_store_project_name are needed")
	}
	if o.Patience < 0 {
		return nil, fmt.Errorf("image store: cinder_state_transition_timeout must not be negative, and is %d", o.Patience)
	}
	o.MountPoint = cmp.Or(o.MountPoint, "/var/lib/glance/mnt")
	identity := strings.TrimSuffix(strings.TrimSuffix(o.AuthAddress, "/"), "/v3")
	network := peer.Network(nil)
	table := peer.Table{"identity": {URL: identity, Transport: network},
		"volume": {URL: o.Endpoint, Listed: peer.Listing{Types: []string{"block-storage", "volumev3"}, Region: o.Region, Versioned: true}, Transport: network}}
	own, err := peer.NewPasswordTokens(table, peer.Credentials{Username: o.User, Password: o.Password, Project: o.Project,
		UserDomain: cmp.Or(o.UserDomain, "Default"), ProjectDomain: cmp.Or(o.ProjectDomain, "Default")}, now)
	if err != nil {
		return nil, err
	}
	service, err := table.Client("volume", own)
	if err != nil {
		return nil, err
	}
	return &Store{o: o, service: service, run: run, patience: time.Duration(cmp.Or(o.Patience, 300)) * time.Second, poll: 500 * time.Millisecond, open: map[string]*shared{},
		host: map[string]any{"host": hostName, "ip": address, "platform": "x86_64", "os_type": "linux", "multipath": false, "do_local_attach": false}}, nil
}

// URL implements blob.Store.
func (s *Store) URL(key string) string { return "cinder://" + namePrefix + key }

// whole returns the newest volume that has all of a blob.
func (s *Store) whole(ctx context.Context, key string) (volume, error) {
	all, err := s.named(ctx, key)
	if err != nil {
		return volume{}, err
	}
	var newest *volume
	for i, v := range all {
		if v.whole() && (newest == nil || v.Created > newest.Created) {
			newest = &all[i]
		}
	}
	if newest == nil {
		return volume{}, blob.ErrNotFound
	}
	return *newest, nil
}

// shared is an attachment with its open device, for all who read it here.
type shared struct {
	ready  chan struct{} // closed when the fields below stand
	device *os.File
	id     string // of the attachment
	err    error
	users  int
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (blob.Reader, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	v, err := s.whole(ctx, key)
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(v.Metadata[metaSize], 10, 64)
	if err != nil || size < 0 {
		return nil, fault.New(fault.Unavailable, "Volume %s does not say how large the image in it is.", v.ID)
	}
	if size == 0 {
		return &reader{SectionReader: io.NewSectionReader(strings.NewReader(""), 0, 0)}, nil
	}
	at, err := s.share(ctx, v)
	if err != nil {
		return nil, err
	}
	r := &reader{SectionReader: io.NewSectionReader(at.device, 0, size)}
	r.close = sync.OnceValue(func() error { return s.unshare(context.WithoutCancel(ctx), v.ID, at) })
	return r, nil
}

// share attaches a volume for reading, once for all readers of this process.
func (s *Store) share(ctx context.Context, v volume) (*shared, error) {
	id := v.ID
	s.mu.Lock()
	at := s.open[id]
	first := at == nil
	if first {
		at = &shared{ready: make(chan struct{})}
		s.open[id] = at
	}
	at.users++
	s.mu.Unlock()
	if first {
		at.device, at.id, at.err = s.attach(context.WithoutCancel(ctx), v, "ro")
		close(at.ready)
	}
	select {
	case <-at.ready:
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), s.unshare(context.WithoutCancel(ctx), id, at))
	}
	if at.err != nil {
		return nil, errors.Join(at.err, s.unshare(ctx, id, at))
	}
	return at, nil
}

// holds reports whether an attachment is one that this process reads by.
func (s *Store) holds(attachment string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.open {
		select {
		case <-at.ready:
			if at.id == attachment {
				return true
			}
		default: // on its way to one
		}
	}
	return false
}

// unshare gives an attachment back with its last reader.
func (s *Store) unshare(ctx context.Context, id string, at *shared) error {
	s.mu.Lock()
	at.users--
	last := at.users == 0
	if last {
		delete(s.open, id)
	}
	s.mu.Unlock()
	if !last {
		return nil
	}
	<-at.ready
	if at.err != nil {
		return nil
	}
	return errors.Join(at.device.Close(), s.detach(ctx, at.id))
}

type reader struct {
	*io.SectionReader
	close func() error
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close()
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.ValidKey(key); err != nil {
		return err
	}
	all, err := s.named(ctx, key)
	if err != nil {
		return err
	}
	for _, v := range all {
		if err := s.remove(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// Each implements blob.Store.
func (s *Store) Each(ctx context.Context, f func(blob.Entry) error) error {
	all, err := s.volumes(ctx, "")
	if err != nil {
		return err
	}
	for _, v := range all {
		key := v.Metadata[metaKey]
		if key == "" || blob.ValidKey(key) != nil {
			continue
		}
		at, err := time.Parse("2006-01-02T15:04:05.999999", cmp.Or(v.Updated, v.Created))
		if err != nil {
			at = time.Unix(1, 0)
		}
		if err := f(blob.Entry{Key: key, Modified: at, Whole: v.whole()}); err != nil {
			return err
		}
	}
	return nil
}
