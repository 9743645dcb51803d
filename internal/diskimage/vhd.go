package diskimage

import (
	"bytes"
)

const vhdDifferencing = 4 // disk type: the rest of the data is in another file

// vhd finds Microsoft's first format (QEMU calls it vpc). Dynamic disks begin
// with a copy of their footer. Fixed ones have only the footer, at the end, and
// before it nothing but the disk: these are as good as raw.
func vhd(c *content) *finding {
	f, footer := &finding{format: "vhd"}, c.head
	if !bytes.HasPrefix(c.head, []byte("conectix")) {
		if len(c.tail) < 512 || !bytes.HasPrefix(c.tail[len(c.tail)-512:], []byte("conectix")) {
			return nil
		}
		f.plain, footer = true, c.tail[len(c.tail)-512:]
	}
	if len(footer) < 64 {
		f.flaw("The header is cut off.")
		return f
	}
	if size := big.Uint64(footer[48:]); size <= 1<<62 {
		f.size = int64(size)
	} else {
		f.flaw("The disk would have %d bytes.", size)
	}
	switch kind := big.Uint32(footer[60:]); kind {
	case 2, 3: // fixed, dynamic
	case vhdDifferencing:
		f.flaw("It is a difference to another file.")
	default:
		f.flaw("Its disk type %d is not supported.", kind)
	}
	return f
}

func isVHDX(head []byte) bool { return bytes.HasPrefix(head, []byte("vhdxfile")) }

// GUIDs as they lie on the disk, from Microsoft's MS-VHDX.
var (
	vhdxMetadataRegion = []byte("\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e")
	vhdxVirtualSize    = []byte("\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8")
	vhdxFileParameters = []byte("\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b")
	vhdxParentLocator  = []byte("\x2d\x5f\xd3\xa8\x0b\xb3\x4d\x45\xab\xf7\xd3\xd8\x48\x34\xab\x0c")
)

const (
	vhdxRegionTable  = 192 << 10
	vhdxFirstRegion  = 1 << 20   // regions lie behind the header section
	vhdxMetadataSize = 128 << 10 // the table of 64 KiB, and the items right behind it
)

// vhdxMetadata returns where the metadata of a VHDX lies, nil for anything else.
func vhdxMetadata(head []byte) *piece {
	if !isVHDX(head) || len(head) < headVHDX {
		return nil
	}
	table := head[vhdxRegionTable:]
	if !bytes.HasPrefix(table, []byte("regi")) {
		return nil
	}
	for i := range min(int(little.Uint32(table[8:])), 2047) {
		entry := table[16+32*i:]
		if bytes.HasPrefix(entry, vhdxMetadataRegion) {
			at := little.Uint64(entry[16:])
			if at < vhdxFirstRegion || at > 1<<62 {
				return nil
			}
			return &piece{offset: int64(at), length: vhdxMetadataSize}
		}
	}
	return nil
}

// vhdx finds Microsoft's second format.
func vhdx(c *content) *finding {
	if !isVHDX(c.head) {
		return nil
	}
	f := &finding{format: "vhdx"}
	meta := c.later
	if len(meta) < 32 || !bytes.HasPrefix(meta, []byte("metadata")) {
		f.flaw("Its metadata cannot be found.")
		return f
	}
	for i := range min(int(little.Uint16(meta[10:])), 2047) {
		entry := meta[min(32+32*i, len(meta)):]
		if len(entry) < 32 {
			break
		}
		item := int64(little.Uint32(entry[16:]))
		value := meta[min(item, int64(len(meta))):]
		switch {
		case bytes.HasPrefix(entry, vhdxVirtualSize) && len(value) >= 8:
			if size := little.Uint64(value); size <= 1<<62 {
				f.size = int64(size)
			}
		case bytes.HasPrefix(entry, vhdxFileParameters) && len(value) >= 8:
			if little.Uint32(value[4:])&2 != 0 {
				f.flaw("It is a difference to another file.")
			}
		case bytes.HasPrefix(entry, vhdxParentLocator):
			f.flaw("It names a parent.")
		}
	}
	if f.size == 0 {
		f.flaw("Its size cannot be found.")
	}
	return f
}
