package control

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"kilonova/internal/fault"
)

// maxDirectory is how much of a zip archive is read before the file in it: the end
// with its comment, and a directory of one file with a name, a comment and more of
// 64 KiB each. Reading a directory takes memory for each of its files, and an archive
// of nothing else can have as many as it likes.
const maxDirectory = 1 << 20

// openArchive opens the one file of a zip archive; fault.Invalid if there are others.
func openArchive(data io.ReaderAt, size int64) (io.ReadCloser, error) {
	if n, err := archived(data, size); err != nil {
		return nil, err
	} else if n != 1 {
		return nil, fault.Invalidf("The image's data is an archive of %d files, where one is needed.", n)
	}
	b := &bounded{data, maxDirectory}
	archive, err := zip.NewReader(b, size)
	if errors.Is(err, errDirectory) || err == nil && len(archive.File) != 1 {
		return nil, fault.Invalidf("The image's data is an archive of more files than it says, where one is needed.")
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The archive of the image's data cannot be read.")
	}
	b.left = math.MaxInt64
	file, err := archive.File[0].Open()
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "The archive of the image's data cannot be unpacked.")
	}
	return file, nil
}

var errDirectory = errors.New("the archive's directory is too large")

// bounded reads no more than left bytes.
type bounded struct {
	io.ReaderAt
	left int64
}

func (b *bounded) ReadAt(p []byte, offset int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, errDirectory
	}
	return b.ReaderAt.ReadAt(p, offset)
}

// archived is how many files a zip archive says that it has, by its ends of both
// kinds (APPNOTE 4.3.14 to 4.3.16): memory for so many is taken by who opens it.
func archived(data io.ReaderAt, size int64) (uint64, error) {
	const end, locator, end64 = 22, 20, 56 // bytes
	none := fault.Invalidf("The archive of the image's data has no end.")
	tail := make([]byte, min(size, end+math.MaxUint16+locator))
	if _, err := data.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	for at >= 0 && (at+end > len(tail) || at+end+int(binary.LittleEndian.Uint16(tail[at+20:])) > len(tail)) {
		at = bytes.LastIndex(tail[:at], []byte("PK\x05\x06"))
	}
	if at < 0 {
		return 0, none
	}
	n := uint64(binary.LittleEndian.Uint16(tail[at+10:]))
	if at < locator || !bytes.HasPrefix(tail[at-locator:], []byte("PK\x06\x07")) {
		return n, nil
	}
	large := make([]byte, end64)
	where := int64(binary.LittleEndian.Uint64(tail[at-locator+8:]))
	if where < 0 || where > size-end64 {
		return 0, none
	}
	if _, err := data.ReadAt(large, where); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n64 := binary.LittleEndian.Uint64(large[32:]); n == math.MaxUint16 || n64 != n {
		return n64, nil
	}
	return n, nil
}
