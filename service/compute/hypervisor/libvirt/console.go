package libvirt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
)

const (
	// maxConsole bounds what ConsoleLog hands out, in bytes; upstream hands out
	// 100 KiB. virtlogd bounds what is kept.
	maxConsole = 1 << 20
	// maxBackups is how many files virtlogd may have put aside (console.log.0 is
	// the youngest).
	maxBackups = 3
)

// ConsoleLog implements hypervisor.ConsoleLogger: the end of what the guest has
// written, over the files that virtlogd has put aside.
func (d *Driver) ConsoleLog(ctx context.Context, id string) (io.ReadSeekCloser, int64, error) {
	if _, err := d.find(ctx, nil, id); err != nil {
		return nil, 0, err
	}
	text, err := lastBytes(consolePath(d.dir(id)), maxConsole)
	if err != nil {
		return nil, 0, fmt.Errorf("read the console log of guest %s: %w", id, err)
	}
	return closer{bytes.NewReader(text)}, int64(len(text)), nil
}

// lastBytes reads the last limit bytes of a log and the files put aside for it.
func lastBytes(path string, limit int64) ([]byte, error) {
	text, err := tail(path, limit)
	for n := 0; err == nil && n < maxBackups && int64(len(text)) < limit; n++ {
		var older []byte
		if older, err = tail(path+"."+strconv.Itoa(n), limit-int64(len(text))); len(older) > 0 {
			text = append(older, text...)
		}
	}
	return text, err
}

// tail reads the last limit bytes of a file; one that is not there is empty.
func tail(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, size-limit), limit))
}

// closer gives a reader a Close.
type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }
