package diskimage

import (
	"fmt"
	"strings"
)

// Info is what an image's content says of itself.
type Info struct {
	// Format is the image's format by the names of the image service: raw,
	// qcow2, vmdk, vhd, vhdx, vdi, iso, gpt, luks, ploop; qed and others that
	// nobody takes. Content without any sign is raw.
	Format string
	// VirtualSize is the size of the disk in the image, in bytes.
	VirtualSize int64
	// Size is the size of the image itself, in bytes.
	Size int64

	found []*finding
}

// finding is one format that the content shows the signs of.
type finding struct {
	format string
	size   int64 // of the disk; 0: as large as the image
	// plain formats are also right to be used as raw: partition tables, file
	// systems, ciphertext. All others lay the disk out in their own way.
	plain bool
	// flaws are what makes the image unfit for use, as whole sentences.
	flaws []string
}

func (f *finding) flaw(format string, args ...any) {
	f.flaws = append(f.flaws, fmt.Sprintf(format, args...))
}

// content is what an inspector has kept of an image.
type content struct {
	head, later, tail []byte
	size              int64
}

// parsers each return what they find of their format, nil for nothing.
var parsers = []func(*content) *finding{
	qcow, qed, vhd, vhdx, vmdk, vdi, ploop, foreign, iso, luks, gpt,
}

func judge(c *content) *Info {
	info := &Info{Format: "raw", VirtualSize: c.size, Size: c.size}
	for _, parse := range parsers {
		if f := parse(c); f != nil {
			info.found = append(info.found, f)
		}
	}
	if len(info.found) > 0 {
		first := info.found[0]
		info.Format = first.format
		if first.size > 0 {
			info.VirtualSize = first.size
		}
	}
	return info
}

// Refusal is why an image must not be used. Its text is for the image's owner.
type Refusal struct {
	Reason string
	// Mismatch: the content is not what it was claimed to be. Otherwise it is,
	// and is unfit.
	Mismatch bool
}

func (r *Refusal) Error() string { return r.Reason }

// inspectable formats have a sign by which they are known. Others (raw disks,
// kernels, file systems, whatever a site adds) may be anything that has none.
var inspectable = map[string]bool{"qcow2": true, "qed": true, "vhd": true, "vhdx": true, "vmdk": true, "vdi": true,
	"ploop": true, "iso": true, "luks": true, "gpt": true}

// Verify returns a *Refusal unless the image is what claimed says, and nothing
// else at the same time, and reaches for no file but itself. With claimed "" any
// single format will do.
func (i *Info) Verify(claimed string) error {
	var own *finding
	var structured []string
	for _, f := range i.found {
		if f.format == claimed || claimed == "" && !f.plain {
			own = f
		}
		if !f.plain {
			structured = append(structured, f.format)
		}
	}
	// Bootable images of discs carry a partition table, and a partition table
	// says nothing of what else there is. Anything else that is two things at
	// once was made so that two readers disagree.
	if len(structured) > 1 || len(structured) == 1 && len(i.found) > 1 {
		var all []string
		for _, f := range i.found {
			all = append(all, f.format)
		}
		return &Refusal{Reason: "Image content is more than one format at the same time: " + strings.Join(all, ", ") + "."}
	}
	if own == nil && (len(structured) > 0 || inspectable[claimed]) {
		return &Refusal{Mismatch: true, Reason: fmt.Sprintf("Image disk_format %.32s does not match stream data %s.", claimed, i.Format)}
	}
	if own == nil || len(own.flaws) == 0 {
		return nil
	}
	return &Refusal{Reason: fmt.Sprintf("Image content of format %s failed safety checks: %s", own.format, strings.Join(own.flaws, " "))}
}

// Safe is Verify without a claim: what may be used as raw is as good as raw.
func (i *Info) Safe() error { return i.Verify("") }

// SizeAs returns the size in bytes of the disk when the image is used as format.
func (i *Info) SizeAs(format string) int64 {
	for _, f := range i.found {
		if f.format == format && f.size > 0 {
			return f.size
		}
	}
	return i.Size
}
