package rbd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/image/blob"
)

// Options are a store's configuration, by upstream's names.
type Options struct {
	Pool string `toml:"rbd_store_pool"`
	User string `toml:"rbd_store_user"`      // "" the configuration's
	Conf string `toml:"rbd_store_ceph_conf"` // "" Ceph's own default
	// ChunkMB is how many MiB an object of the pool has; a power of two.
	ChunkMB int `toml:"rbd_store_chunk_size"`
}

// Store implements blob.Store.
type Store struct {
	o    Options
	run  host.Runner
	fsid func(ctx context.Context) string
}

const (
	snapshot = "snap"
	begun    = "begun_"
	data     = "data_" // what a begun device will be, while its data comes
	dead     = "dead_"
	// patience is how long one call of the program may take that moves no data.
	patience = 2 * time.Minute
)

// New checks the options. A Ceph that does not answer is no error here: it may
// come later.
func New(o Options, run host.Runner) (*Store, error) {
	if o.Pool == "" {
		o.Pool = "images"
	}
	if o.ChunkMB == 0 {
		o.ChunkMB = 8
	}
	if strings.ContainsAny(o.Pool, "/@ ") || strings.HasPrefix(o.Pool, "-") || o.ChunkMB < 1 || o.ChunkMB > 32 || o.ChunkMB&(o.ChunkMB-1) != 0 {
		return nil, fmt.Errorf("image store: rbd_store_pool %q or rbd_store_chunk_size %d cannot be", o.Pool, o.ChunkMB)
	}
	if _, err := host.Find("rbd"); err != nil {
		return nil, errors.New("image store: Ceph's program rbd is not on this host (Debian has it in ceph-common)")
	}
	s := &Store{o: o, run: run}
	var once sync.Once
	var id string
	s.fsid = func(ctx context.Context) string {
		once.Do(func() {
			out, err := s.run.Run(ctx, nil, "ceph", append(s.flags(), "fsid")...)
			if id = "unknown"; err == nil {
				id = strings.TrimSpace(string(out))
			}
		})
		return id
	}
	return s, nil
}

func (s *Store) flags() (flags []string) {
	if s.o.Conf != "" {
		flags = append(flags, "--conf", s.o.Conf)
	}
	if s.o.User != "" {
		flags = append(flags, "--id", s.o.User)
	}
	return flags
}

func (s *Store) device(name string) string { return s.o.Pool + "/" + name }

// rbd runs the program.
func (s *Store) rbd(ctx context.Context, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := s.run.Run(ctx, nil, "rbd", append(s.flags(), args...)...)
	return out, told(err)
}

// The program's exit codes are error numbers.
const (
	noEntry  = 2
	busy     = 16
	exists   = 17
	noSpace  = 28
	notEmpty = 39
	quota    = 122
)

var errBusy = errors.New("somebody holds the device open")

// told gives the program's errors the meaning that they have for callers.
func told(err error) error {
	exit, ok := errors.AsType[*host.ExitError](err)
	switch {
	case err == nil:
		return nil
	case !ok:
	case exit.Code == noEntry:
		return blob.ErrNotFound
	case exit.Code == busy, exit.Code == notEmpty:
		return fmt.Errorf("%w: %w", errBusy, err)
	case exit.Code == noSpace, exit.Code == quota:
		return fmt.Errorf("%w (%w)", blob.ErrFull, err)
	}
	return fault.Wrap(err, fault.Unavailable, "The image's Ceph pool does not do its part now.")
}

// URL implements blob.Store: rbd://FSID/POOL/DEVICE/SNAPSHOT, which compute and
// block storage understand.
func (s *Store) URL(key string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return "rbd://" + s.fsid(ctx) + "/" + s.o.Pool + "/" + key + "/" + snapshot
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, key string) (blob.Reader, error) {
	if err := blob.ValidKey(key); err != nil {
		return nil, err
	}
	is, err := s.about(ctx, key)
	if err != nil {
		return nil, err
	}
	return blob.Ranged(ctx, is.size, func(ctx context.Context, offset, _ int64) (io.ReadCloser, error) {
		now, err := s.about(ctx, key)
		if err == nil && now != is {
			err = fault.New(fault.Unavailable, "Image data %s was replaced while it was read.", key)
		}
		if err != nil {
			return nil, err
		}
		return s.stream(ctx, key, offset)
	}), nil
}

// facts are what is kept beside a device: how many bytes were put into it, since
// it has whole sectors, and by which attempt.
type facts struct {
	size    int64
	attempt string
}

func (s *Store) about(ctx context.Context, key string) (facts, error) {
	out, err := s.rbd(ctx, "image-meta", "list", "--format", "json", s.device(key))
	if err != nil {
		return facts{}, err
	}
	var meta map[string]string
	if err := json.Unmarshal(out, &meta); err != nil {
		return facts{}, fault.Wrap(err, fault.Unavailable, "Ceph described a device in a way that cannot be read.")
	}
	size, err := strconv.ParseInt(meta["size"], 10, 64)
	if err != nil || size < 0 {
		return facts{}, fault.New(fault.Unavailable, "The device of image data %s does not say how large it is.", key)
	}
	return facts{size, meta["attempt"]}, nil
}

// stream runs the program and skips what is not wanted: it exports from the
// beginning only.
func (s *Store) stream(ctx context.Context, key string, offset int64) (io.ReadCloser, error) {
	path, err := host.Find("rbd")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, path, append(s.flags(), "export", "--no-progress", s.device(key)+"@"+snapshot, "-")...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	e := &export{ReadCloser: out, cmd: cmd, cancel: cancel}
	if _, err := io.CopyN(io.Discard, out, offset); err != nil {
		return nil, errors.Join(fault.Wrap(err, fault.Unavailable, "The image's data cannot be read from its Ceph pool."), e.Close())
	}
	return e, nil
}

type export struct {
	io.ReadCloser
	cmd    *exec.Cmd
	cancel context.CancelFunc
}

// Close ends the program, which may have more to say.
func (e *export) Close() error {
	e.cancel()
	_ = e.ReadCloser.Close()
	_ = e.cmd.Wait() // it was killed
	return nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := blob.ValidKey(key); err != nil {
		return err
	}
	names, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == key || ofAttempt(name, key) {
			if err := s.remove(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// ofAttempt reports whether a device is of an attempt to write a blob.
func ofAttempt(name, key string) bool {
	return (strings.HasPrefix(name, begun) || strings.HasPrefix(name, data)) && strings.HasSuffix(name, "_"+key)
}

// remove removes a device, or puts it where nobody takes it for a blob.
func (s *Store) remove(ctx context.Context, name string) error {
	_, err := s.rbd(ctx, "snap", "unprotect", s.device(name)+"@"+snapshot)
	if errors.Is(err, errBusy) { // it has clones, which must live
		_, err := s.rbd(ctx, "trash", "mv", s.device(name))
		return gone(err)
	}
	if _, err := s.rbd(ctx, "snap", "purge", "--no-progress", s.device(name)); err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	_, err = s.rbd(ctx, "rm", "--no-progress", s.device(name))
	if errors.Is(err, errBusy) && !strings.HasPrefix(name, dead) {
		_, err = s.rbd(ctx, "mv", s.device(name), s.device(dead+attemptID()+"_"+name))
	}
	return gone(err)
}

// gone finds it well that something is not there any more.
func gone(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return nil
	}
	return err
}

func (s *Store) list(ctx context.Context) ([]string, error) {
	out, err := s.rbd(ctx, "ls", "--format", "json", s.o.Pool)
	if err != nil {
		if errors.Is(err, blob.ErrNotFound) {
			err = fault.Wrap(err, fault.Unavailable, "There is no Ceph pool %s for images.", s.o.Pool)
		}
		return nil, err
	}
	var names []string
	if err := json.Unmarshal(out, &names); err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "Ceph gave a list of devices that cannot be read.")
	}
	return names, nil
}

// Each implements blob.Store. On its way it removes what was to be removed before.
func (s *Store) Each(ctx context.Context, f func(blob.Entry) error) error {
	names, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		orphan := false
		if rest, ok := strings.CutPrefix(name, data); ok {
			orphan = !slices.Contains(names, begun+rest)
		}
		if orphan || strings.HasPrefix(name, dead) {
			_ = s.remove(ctx, name) // it may still be open; there will be another time
			continue
		}
		key, whole := name, true
		if rest, ok := strings.CutPrefix(name, begun); ok {
			_, key, _ = strings.Cut(rest, "_")
			whole = false
		}
		if blob.ValidKey(key) != nil {
			continue
		}
		made, err := s.made(ctx, name)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f(blob.Entry{Key: key, Modified: made, Whole: whole}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) made(ctx context.Context, name string) (time.Time, error) {
	out, err := s.rbd(ctx, "info", "--format", "json", s.device(name))
	if err != nil {
		return time.Time{}, err
	}
	var info struct {
		Created string `json:"create_timestamp"`
		Changed string `json:"modify_timestamp"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return time.Time{}, fault.Wrap(err, fault.Unavailable, "Ceph described a device in a way that cannot be read.")
	}
	for _, text := range []string{info.Changed, info.Created} {
		if t, err := time.ParseInLocation(time.ANSIC, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Unix(1, 0), nil
}
