package diskimage

import (
	"bytes"
	"strings"
)

const vmdkFooter = ^uint64(0) // grain directory offset: a footer at the end decides

func isVMDK(head []byte) bool {
	return bytes.HasPrefix(head, []byte("KDMV")) || bytes.HasPrefix(head, []byte("COWD")) || vmdkText(head)
}

// vmdkText reports whether head begins like a descriptor without a disk, as QEMU
// sees it: comments and empty lines, then a line "version=N".
func vmdkText(head []byte) bool {
	for _, line := range bytes.SplitN(head[:min(len(head), 4096)], []byte("\n"), 64) {
		line = bytes.ToLower(bytes.TrimSpace(line))
		if len(line) == 0 || line[0] == '#' {
			if bytes.HasPrefix(line, []byte("# disk descriptorfile")) {
				return true
			}
			continue
		}
		return bytes.HasPrefix(line, []byte("version="))
	}
	return false
}

// vmdk finds VMware's format, and takes only those variants of it that keep the
// disk in the one file: a descriptor may name any file of the host as an extent
// (CVE-2022-47951).
func vmdk(c *content) *finding {
	if !isVMDK(c.head) {
		return nil
	}
	f := &finding{format: "vmdk"}
	h := c.head
	switch {
	case !bytes.HasPrefix(h, []byte("KDMV")):
		f.flaw("Only monolithicSparse and streamOptimized are supported.")
		return f
	case len(h) < 512:
		f.flaw("The header is cut off.")
		return f
	}
	sectors := little.Uint64(h[12:])
	descriptorAt, descriptorLen := little.Uint64(h[28:]), little.Uint64(h[36:])
	if v := little.Uint32(h[4:]); v < 1 || v > 3 {
		f.flaw("Version %d is not supported.", v)
	}
	if sectors == 0 || sectors > 1<<53 { // QEMU takes 0 for "see the descriptor"
		f.flaw("The disk would have %d sectors.", sectors)
	} else {
		f.size = int64(sectors) * 512
	}
	if descriptorAt != 1 || descriptorLen == 0 || descriptorLen > 2048 {
		f.flaw("Its descriptor is not behind the header.")
		return f
	}
	descriptor := h[512:min(uint64(len(h)), 512+512*descriptorLen)]
	if end := bytes.IndexByte(descriptor, 0); end >= 0 {
		descriptor = descriptor[:end]
	}
	f.vmdkDescriptor(string(descriptor))
	if little.Uint64(h[56:]) == vmdkFooter {
		f.vmdkFooter(h, c.tail)
	}
	return f
}

// vmdkDescriptor takes only lines that it understands.
func (f *finding) vmdkDescriptor(text string) {
	kind, extents := "", 0
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, isField := strings.Cut(line, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.Trim(strings.TrimSpace(value), `"`)
		first, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case line == "" || line[0] == '#' || strings.HasPrefix(key, "ddb"):
		case first == "RW" || first == "RDONLY" || first == "NOACCESS":
			extents++
			f.vmdkExtent(line)
		case !isField || strings.ContainsAny(key, " \t"):
			f.flaw("Its descriptor has a line that is not understood.")
			return
		case key == "createtype":
			kind = value
		case key == "parentcid" && !strings.EqualFold(value, "ffffffff"), key == "parentfilenamehint":
			f.flaw("It is a difference to another file.")
		}
	}
	if !strings.EqualFold(kind, "monolithicSparse") && !strings.EqualFold(kind, "streamOptimized") {
		f.flaw("Only monolithicSparse and streamOptimized are supported.")
	}
	if extents != 1 {
		f.flaw("Its descriptor has %d extents, where one is needed.", extents)
	}
}

// vmdkExtent checks a line like: RW 4192256 SPARSE "disk.vmdk"
func (f *finding) vmdkExtent(line string) {
	words := strings.Fields(line)
	if len(words) < 4 || !strings.EqualFold(words[2], "SPARSE") {
		f.flaw("Its extent is not sparse.")
	}
	if strings.ContainsAny(line, `/\`) || strings.Contains(line, "..") {
		f.flaw("Its extent lies in another file.")
	}
}

// vmdkFooter checks that the header at the end, which is the one that counts,
// says what the one at the beginning did.
func (f *finding) vmdkFooter(h, tail []byte) {
	if len(tail) < tailSize {
		f.flaw("Its footer is cut off.")
		return
	}
	marker, footer, end := tail[:512], tail[512:1024], tail[1024:]
	if little.Uint32(marker[8:]) != 0 || little.Uint32(marker[12:]) != 3 || little.Uint32(end[8:]) != 0 || little.Uint32(end[12:]) != 0 {
		f.flaw("Its footer is malformed.")
		return
	}
	if !bytes.Equal(h[:48], footer[:48]) || little.Uint64(footer[56:]) == vmdkFooter {
		f.flaw("Its footer contradicts its header.")
	}
}
