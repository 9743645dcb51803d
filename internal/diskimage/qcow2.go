package diskimage

import (
	"bytes"
	"encoding/binary"
)

var big, little = binary.BigEndian, binary.LittleEndian

// The parts of a qcow2 header that matter, from QEMU's docs/interop/qcow2.rst.
const (
	qcowExternalData = 1 << 2 // incompatible feature: the data is in another file
	qcowCorrupt      = 1 << 1
	qcowKnown        = 1<<0 | qcowCorrupt | qcowExternalData | 1<<3 | 1<<4
	qcowDataFileName = 0x44415441 // header extension
)

// qcow finds QEMU's copy-on-write formats. An image that has a backing file or
// an external data file would let its author read any file of the host
// (CVE-2015-1851, CVE-2015-5163, CVE-2024-32498).
func qcow(c *content) *finding {
	if !bytes.HasPrefix(c.head, []byte("QFI\xfb")) {
		return nil
	}
	f := &finding{format: "qcow2"}
	if len(c.head) < 104 {
		f.flaw("The header is cut off.")
		return f
	}
	h := c.head
	version, headerLength := big.Uint32(h[4:]), 72
	size := big.Uint64(h[24:])
	if size > 1<<62 {
		f.flaw("The disk would have %d bytes.", size)
	} else {
		f.size = int64(size)
	}
	if big.Uint64(h[8:]) != 0 || big.Uint32(h[16:]) != 0 {
		f.flaw("It has a backing file.")
	}
	if bits := big.Uint32(h[20:]); bits < 9 || bits > 21 {
		f.flaw("Its clusters of 2^%d bytes are not possible.", bits)
	}
	switch version {
	case 2:
	case 3:
		features := big.Uint64(h[72:])
		if features&qcowExternalData != 0 {
			f.flaw("It has an external data file.")
		}
		if features&qcowCorrupt != 0 {
			f.flaw("It is marked as corrupt.")
		}
		if unknown := features &^ qcowKnown; unknown != 0 {
			f.flaw("It has unknown features (%#x).", unknown)
		}
		headerLength = int(min(big.Uint32(h[100:]), 1<<16))
	default:
		f.flaw("Version %d is not supported.", version)
	}
	if extension(h, headerLength, qcowDataFileName) {
		f.flaw("It names an external data file.")
	}
	return f
}

// extension reports whether a header extension of that type follows the header.
func extension(h []byte, at int, kind uint32) bool {
	for at >= 72 && at+8 <= len(h) {
		t, n := big.Uint32(h[at:]), int(big.Uint32(h[at+4:]))
		if t == 0 {
			return false
		}
		if t == kind {
			return true
		}
		if n > len(h) {
			return false
		}
		at += 8 + (n+7)&^7
	}
	return false
}

// qed finds QEMU's enhanced disk format, which nobody supports any more.
func qed(c *content) *finding {
	if !bytes.HasPrefix(c.head, []byte("QED\x00")) {
		return nil
	}
	return &finding{format: "qed", flaws: []string{"This format is not allowed."}}
}
