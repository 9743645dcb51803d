package metadata

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode/utf16"
)

// A FAT16 image is written here and not by the library: that one leaves lost
// clusters, which a guest's check of the file system complains about. All files
// are known beforehand, so each is one run of clusters, and nothing is ever
// rewritten. Layout: boot sector, two tables, root directory, clusters
// (Microsoft's FAT specification 1.03).
const (
	fatSector      = 512
	fatRootEntries = 512
	fatEntry       = 32   // bytes of a directory entry
	fatMinClusters = 4200 // below 4,085 it would be taken for FAT12; keep off the border
	fatMaxClusters = 65000
	fatFirst       = 2 // number of the first cluster
	fatEnd         = 0xffff
)

// fatNode is a file or a directory.
type fatNode struct {
	name     string
	data     []byte     // file
	children []*fatNode // directory
	isDir    bool
	parent   *fatNode
	first    int // cluster; 0: the root, or an empty file
	clusters int
}

// fatWriter fills an image.
type fatWriter struct {
	image      []byte
	cluster    int // bytes
	tableBytes int
	written    time.Time
}

// fatImage makes a FAT16 file system without a partition table.
func fatImage(files []driveFile, written time.Time, serial uint32) ([]byte, error) {
	root := fatTree(files)
	w := &fatWriter{cluster: fatSector, written: written.UTC()}
	used := w.place(root)
	for ; used > fatMaxClusters && w.cluster < 32<<10; used = w.place(root) {
		w.cluster *= 2
	}
	if used > fatMaxClusters {
		return nil, fmt.Errorf("%d clusters are too many for FAT16", used)
	}
	clusters := max(used, fatMinClusters)
	w.tableBytes = ((clusters+fatFirst)*2 + fatSector - 1) / fatSector * fatSector
	w.image = make([]byte, w.offset(fatFirst+clusters))
	w.bootSector(serial)
	w.tables(root)
	w.directory(root)
	return w.image, nil
}

// fatTree makes nodes of paths.
func fatTree(files []driveFile) *fatNode {
	root := &fatNode{isDir: true}
	for _, f := range files {
		dir := root
		parts := strings.Split(f.path, "/")
		for _, part := range parts[:len(parts)-1] {
			dir = dir.child(part)
		}
		dir.children = append(dir.children, &fatNode{name: parts[len(parts)-1], data: f.data, parent: dir})
	}
	return root
}

func (n *fatNode) child(name string) *fatNode {
	for _, c := range n.children {
		if c.isDir && c.name == name {
			return c
		}
	}
	c := &fatNode{name: name, isDir: true, parent: n}
	n.children = append(n.children, c)
	return c
}

// size is how many bytes of clusters a node needs.
func (n *fatNode) size() int {
	if !n.isDir {
		return len(n.data)
	}
	size := 2 * fatEntry // "." and ".."
	for _, c := range n.children {
		size += (1 + longEntries(c.name)) * fatEntry
	}
	return size
}

// place gives every node below dir its clusters and returns how many there are.
func (w *fatWriter) place(root *fatNode) int {
	next := fatFirst
	var walk func(n *fatNode)
	walk = func(n *fatNode) {
		if n.parent != nil {
			n.clusters = (n.size() + w.cluster - 1) / w.cluster
			if n.first = 0; n.clusters > 0 {
				n.first = next
			}
			next += n.clusters
		}
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(root)
	return next - fatFirst
}

// offset is where a cluster begins in the image.
func (w *fatWriter) offset(cluster int) int {
	return fatSector + 2*w.tableBytes + fatRootEntries*fatEntry + (cluster-fatFirst)*w.cluster
}

func (w *fatWriter) bootSector(serial uint32) {
	b, le := w.image[:fatSector], binary.LittleEndian
	copy(b, "\xeb\x3c\x90KILONOVA") // a jump over this header, as readers expect
	le.PutUint16(b[11:], fatSector)
	b[13] = byte(w.cluster / fatSector)
	le.PutUint16(b[14:], 1) // reserved: this sector
	b[16] = 2               // tables
	le.PutUint16(b[17:], fatRootEntries)
	if sectors := len(w.image) / fatSector; sectors < 1<<16 {
		le.PutUint16(b[19:], uint16(sectors))
	} else {
		le.PutUint32(b[32:], uint32(sectors))
	}
	b[21] = 0xf8 // a fixed disk
	le.PutUint16(b[22:], uint16(w.tableBytes/fatSector))
	le.PutUint16(b[24:], 32) // sectors and heads, for readers that still count so
	le.PutUint16(b[26:], 64)
	b[36], b[38] = 0x80, 0x29
	le.PutUint32(b[39:], serial)
	copy(b[43:], fmt.Sprintf("%-11s%-8s", driveLabel, "FAT16"))
	b[510], b[511] = 0x55, 0xaa
}

// tables writes both tables: each node's clusters are a chain, one after the
// other.
func (w *fatWriter) tables(root *fatNode) {
	table := w.image[fatSector:][:w.tableBytes]
	set := func(cluster, next int) { binary.LittleEndian.PutUint16(table[2*cluster:], uint16(next)) }
	set(0, 0xfff8)
	set(1, fatEnd)
	var walk func(n *fatNode)
	walk = func(n *fatNode) {
		for i := range n.clusters {
			if i == n.clusters-1 {
				set(n.first+i, fatEnd)
			} else {
				set(n.first+i, n.first+i+1)
			}
		}
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(root)
	copy(w.image[fatSector+w.tableBytes:], table)
}

// Attributes of directory entries.
const (
	attrReadOnly = 0x01
	attrLabel    = 0x08
	attrDir      = 0x10
	attrArchive  = 0x20
	attrLong     = 0x0f
)

// directory writes a directory and all below it.
func (w *fatWriter) directory(dir *fatNode) {
	var out []byte
	if dir.parent == nil {
		out = w.image[fatSector+2*w.tableBytes:]
		out = w.entry(out, fmt.Sprintf("%-11s", driveLabel), attrLabel, 0, 0)
	} else {
		out = w.image[w.offset(dir.first):]
		out = w.entry(out, fmt.Sprintf("%-11s", "."), attrDir, dir.first, 0)
		out = w.entry(out, fmt.Sprintf("%-11s", ".."), attrDir, dir.parent.first, 0)
	}
	for i, c := range dir.children {
		short := shortName(c.name, i+1)
		out = longName(out, c.name, short)
		if c.isDir {
			out = w.entry(out, short, attrDir, c.first, 0)
			w.directory(c)
		} else {
			out = w.entry(out, short, attrArchive|attrReadOnly, c.first, len(c.data))
			if c.clusters > 0 {
				copy(w.image[w.offset(c.first):], c.data)
			}
		}
	}
}

// entry writes one entry and returns what comes after it.
func (w *fatWriter) entry(out []byte, short string, attributes byte, first, size int) []byte {
	le, t := binary.LittleEndian, w.written
	copy(out, short)
	out[11] = attributes
	date := uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day())
	clock := uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
	for _, at := range []int{14, 22} { // created, written
		le.PutUint16(out[at:], clock)
		le.PutUint16(out[at+2:], date)
	}
	le.PutUint16(out[18:], date) // read
	le.PutUint16(out[26:], uint16(first))
	le.PutUint32(out[28:], uint32(size))
	return out[fatEntry:]
}

// shortName is the n-th entry's name in 8 and 3 characters, which nobody looks
// at as long as it is the only one of that name.
func shortName(name string, n int) string {
	suffix := fmt.Sprintf("~%d", n)
	stem, extension, _ := strings.Cut(name, ".")
	keep := func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}
	stem = strings.Map(keep, strings.ToUpper(stem))
	extension = strings.Map(keep, strings.ToUpper(extension))
	return fmt.Sprintf("%-8s%-3s", stem[:min(len(stem), 8-len(suffix))]+suffix, extension[:min(len(extension), 3)])
}

// A long name is spread over entries of 13 UTF-16 characters, at these places.
var longPlaces = [13]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}

func longEntries(name string) int {
	return (len(utf16.Encode([]rune(name))) + len(longPlaces) - 1) / len(longPlaces)
}

// longName writes the entries of a long name, the last part first, and returns
// what comes after them.
func longName(out []byte, name, short string) []byte {
	sum := byte(0)
	for i := range len(short) {
		sum = sum>>1 | sum<<7
		sum += short[i]
	}
	units := utf16.Encode([]rune(name))
	for part := longEntries(name); part >= 1; part-- {
		out[0] = byte(part)
		if part == longEntries(name) {
			out[0] |= 0x40
		}
		out[11], out[13] = attrLong, sum
		for i, place := range longPlaces {
			at := (part-1)*len(longPlaces) + i
			unit := uint16(0xffff) // after the end
			if at < len(units) {
				unit = units[at]
			} else if at == len(units) {
				unit = 0
			}
			binary.LittleEndian.PutUint16(out[place:], unit)
		}
		out = out[fatEntry:]
	}
	return out
}
