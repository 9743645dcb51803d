package agent

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kilonova/service/compute/hypervisor"
)

// partsSuffix ends the name of the file that tells which images are the kernel
// and the ramdisk of an image: they are in use as long as it is.
const partsSuffix = ".parts"

// touch notes that a file of the cache is wanted now; its age counts from there.
func (c *ImageCache) touch(path string) error {
	now := time.Time{} // leaves it to the system
	if c.Now != nil {
		now = c.Now()
	}
	if now.IsZero() {
		_, err := os.Stat(path)
		return err
	}
	return os.Chtimes(path, now, now)
}

func (c *ImageCache) noteParts(image hypervisor.Image) error {
	if image.Kernel == "" && image.Ramdisk == "" {
		return nil
	}
	text := ""
	for _, path := range []string{image.Kernel, image.Ramdisk} {
		if path != "" {
			text += filepath.Base(path) + "\n"
		}
	}
	c.noting.Lock()
	defer c.noting.Unlock()
	note := image.Path + partsSuffix
	if had, err := os.ReadFile(note); err == nil && string(had) == text {
		return nil
	}
	if err := os.WriteFile(note+".part", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(note+".part", note)
}

// Evict removes images that no guest's disk stands on and that nobody has wanted
// for so long. It returns their names.
func (c *ImageCache) Evict(minAge time.Duration) ([]string, error) {
	entries, err := os.ReadDir(c.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	used, err := c.inUse()
	if err != nil {
		return nil, err // rather too much is kept than too little
	}
	var gone []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		path := filepath.Join(c.Dir, e.Name())
		image := strings.TrimSuffix(e.Name(), partsSuffix)
		if used[image] {
			if image == e.Name() {
				if err := c.touch(path); err != nil { // its age begins when its last guest goes
					return gone, err
				}
			}
			continue
		}
		if image != e.Name() {
			if _, err := os.Stat(filepath.Join(c.Dir, image)); err == nil {
				continue // goes with its image
			}
		} else if c.Now().Sub(info.ModTime()) < minAge {
			continue
		}
		if err := remove(path); err != nil {
			return gone, err
		}
		gone = append(gone, e.Name())
	}
	return gone, nil
}

// inUse finds the images that disks of guests stand on, and their parts. It reads
// what the disks say of themselves, so that it is right whoever made them.
func (c *ImageCache) inUse() (map[string]bool, error) {
	used := map[string]bool{}
	disks, err := filepath.Glob(filepath.Join(c.Instances, "*", "*"))
	if err != nil || c.Instances == "" {
		return used, err
	}
	for _, disk := range disks {
		if filepath.Dir(disk) == filepath.Clean(c.Dir) {
			continue
		}
		backing, err := backingFile(disk)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if backing == "" || filepath.Dir(backing) != filepath.Clean(c.Dir) {
			continue
		}
		name := filepath.Base(backing)
		used[name] = true
		parts, err := os.ReadFile(backing + partsSuffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for part := range strings.FieldsSeq(string(parts)) {
			used[part] = true
		}
	}
	return used, nil
}

// backingFile is what a qcow2 file stands on, "" for nothing and for other files.
func backingFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return "", err
	}
	var head [20]byte
	if n, _ := f.ReadAt(head[:], 0); n < len(head) || string(head[:4]) != "QFI\xfb" {
		return "", nil
	}
	at, size := binary.BigEndian.Uint64(head[8:]), binary.BigEndian.Uint32(head[16:])
	if at == 0 || size == 0 || size > 1023 {
		return "", nil
	}
	name := make([]byte, size)
	if _, err := f.ReadAt(name, int64(at)); err != nil {
		return "", err
	}
	return string(name), nil
}

// Tidy evicts images regularly until ctx ends.
func (c *ImageCache) Tidy(ctx context.Context, every, minAge time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			gone, err := c.Evict(minAge)
			if err != nil {
				c.Log.Warn("the image cache cannot be tidied", "error", err)
			}
			if len(gone) > 0 {
				c.Log.Info("images that no guest stands on were removed from the cache", "images", gone)
			}
		}
	}
}
