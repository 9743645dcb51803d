package stack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// takePlace makes sure that no other process runs one of these roles on the same
// data folder, until this one ends in whatever way, and reads the folder's name.
// Both together tell those who do durable work that what an earlier process of
// this place had begun is theirs now.
func (s *Stack) takePlace() (err error) {
	dir := filepath.Join(s.Config.Data, "place")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, role := range s.roles {
		path := filepath.Join(dir, string(role)+".lock")
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, func() { f.Close() })
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("another process runs the role %s on %s already", role, s.Config.Data)
		} else if err != nil {
			return fmt.Errorf("lock %s: %w", path, err)
		}
	}
	s.place, err = placeName(filepath.Join(dir, "name"))
	return err
}

// placeName reads the random name of a data folder, or gives it one.
func placeName(path string) (string, error) {
	data, err := os.ReadFile(path)
	if name := strings.TrimSpace(string(data)); err == nil && len(name) == 16 {
		return name, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var b [8]byte
	rand.Read(b[:])
	f, err := os.CreateTemp(filepath.Dir(path), "name-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	if _, err = fmt.Fprintln(f, hex.EncodeToString(b[:])); err != nil {
		f.Close()
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	// roles of other processes on this folder may come at the same moment: the
	// first name stands
	if err := os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return placeName(path)
	} else if err != nil {
		return "", err
	}
	return hex.EncodeToString(b[:]), nil
}
