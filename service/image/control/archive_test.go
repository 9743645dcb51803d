package control

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"kilonova/internal/fault"
)

// counted counts what is read of an archive.
type counted struct {
	io.ReaderAt
	read int
}

func (c *counted) ReadAt(p []byte, offset int64) (int, error) {
	c.read += len(p)
	return c.ReaderAt.ReadAt(p, offset)
}

func archiveOf(t *testing.T, files int, comment string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for n := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("%0500d", n), Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(f, "content")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.SetComment(comment); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestArchives(t *testing.T) {
	says := func(data []byte, files uint16) []byte { // in its end
		at := bytes.LastIndex(data, []byte("PK\x05\x06"))
		binary.LittleEndian.PutUint16(data[at+8:], files)
		binary.LittleEndian.PutUint16(data[at+10:], files)
		return data
	}
	// An end of the larger kind, which speaks of more files than there is memory for.
	one := archiveOf(t, 1, "")
	at := bytes.LastIndex(one, []byte("PK\x05\x06"))
	large := make([]byte, 56+20)
	copy(large, "PK\x06\x06")
	binary.LittleEndian.PutUint64(large[4:], 44)
	binary.LittleEndian.PutUint64(large[24:], 1<<50)
	binary.LittleEndian.PutUint64(large[32:], 1<<50)
	copy(large[56:], "PK\x06\x07")
	binary.LittleEndian.PutUint64(large[56+8:], uint64(at))
	binary.LittleEndian.PutUint32(large[56+16:], 1)
	huge := says(append(append(bytes.Clone(one[:at]), large...), one[at:]...), 0xffff)
	hidden := append(append(bytes.Clone(one[:at]), large...), one[at:]...)
	for what, tt := range map[string]struct {
		data   []byte
		refuse string // "" it is opened
	}{
		"one file":                         {archiveOf(t, 1, ""), ""},
		"with a comment":                   {archiveOf(t, 1, strings.Repeat("x", 65535)), ""},
		"a comment that looks like an end": {archiveOf(t, 1, "PK\x05\x06"+strings.Repeat("x", 10)), ""},
		"none":                             {archiveOf(t, 0, ""), "archive of 0 files"},
		"two":                              {archiveOf(t, 2, ""), "archive of 2 files"},
		"many":                             {archiveOf(t, 3000, ""), "archive of 3000 files"},
		"many that pass for one":           {says(archiveOf(t, 3000, ""), 1), "more files than it says"},
		"two that pass for one":            {says(archiveOf(t, 2, ""), 1), "cannot be read"},
		"more than there is memory for":    {huge, "archive of 1125899906842624 files"},
		"the same beside an end of one":    {hidden, "archive of 1125899906842624 files"},
		"no end":                           {[]byte("PK\x03\x04 and nothing else"), "no end"},
		"half an end":                      {[]byte("PK\x03\x04PK\x05\x06"), "no end"},
	} {
		source := &counted{ReaderAt: bytes.NewReader(tt.data)}
		file, err := openArchive(source, int64(len(tt.data)))
		if source.read > maxDirectory+200<<10 {
			t.Errorf("%s: %d bytes were read", what, source.read)
		}
		if tt.refuse != "" {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.refuse) {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if content, err := io.ReadAll(file); err != nil || string(content) != "content" {
			t.Errorf("%s: %q, %v", what, content, err)
		}
	}
}
