package metadata

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"kilonova/internal/fault"
)

// The formats of a config drive: config_drive_format of upstream's options.
const (
	ISO9660 = "iso9660"
	VFAT    = "vfat"
)

// Limits of a config drive. Users give at most a few files of some kilobytes.
const (
	MaxDrive      = 64 << 20 // bytes, as upstream's drive of format vfat has
	MaxDriveFiles = 1000
)

// driveLabel is how a guest finds the drive among its disks.
const driveLabel = "config-2"

// ConfigDrive returns a disk image with the instance's tree, for guests that read
// it there and not over HTTP. files are put under openstack/content, and
// meta_data.json says where in the guest they belong. The EC2 tree has only its
// last version, as upstream's does unless told otherwise.
//
// An unknown format is fault.Invalid, more than MaxDrive bytes are
// fault.TooLarge. The image is made in memory; nothing is left on the host.
func ConfigDrive(inst *Instance, format string, files ...File) ([]byte, error) {
	t := &Tree{inst: inst, files: files, drive: true}
	contents, err := t.driveFiles()
	if err != nil {
		return nil, err
	}
	written := inst.Created
	if written.Year() < 1980 { // where FAT's calendar begins
		written = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	var image []byte
	switch format {
	case ISO9660:
		image, err = isoImage(contents, written)
	case VFAT:
		image, err = fatImage(contents, written, hash32(inst.UUID))
	default:
		return nil, fault.Invalidf("Config drives have the formats %s and %s, not %.32q.", ISO9660, VFAT, format)
	}
	if err != nil {
		return nil, fmt.Errorf("make the config drive of %s: %w", inst.UUID, err)
	}
	return image, nil
}

// driveFile is a file on the drive, with its path.
type driveFile struct {
	path string
	data []byte
}

// driveFiles lists the drive's files by directories.
func (t *Tree) driveFiles() ([]driveFile, error) {
	if len(t.files) > MaxDriveFiles {
		return nil, fault.New(fault.TooLarge, "A config drive takes %d files, not %d.", MaxDriveFiles, len(t.files))
	}
	size := 0
	var list []driveFile
	add := func(name string, data []byte) {
		size += len(data)
		list = append(list, driveFile{name, data})
	}
	for _, version := range []string{ec2Versions[len(ec2Versions)-1], latest} {
		resolved, _ := resolve(version, ec2Versions)
		add("ec2/"+version+"/meta-data.json", asJSON(t.ec2MetaData(resolved)).Body)
		if t.inst.UserData != nil {
			add("ec2/"+version+"/user-data", t.inst.UserData)
		}
	}
	for _, version := range append(openstackVersions[:len(openstackVersions):len(openstackVersions)], latest) {
		resolved, _ := resolve(version, openstackVersions)
		for i := range openstackFiles {
			if f := &openstackFiles[i]; t.has(f, resolved) {
				add("openstack/"+version+"/"+f.name, f.read(t, resolved).Body)
			}
		}
	}
	for n, f := range t.files {
		add("openstack/"+contentDir+"/"+contentName(n), f.Data)
	}
	if size > MaxDrive {
		return nil, fault.New(fault.TooLarge, "The config drive of %s would have %d bytes; the limit is %d.", t.inst.UUID, size, MaxDrive)
	}
	return list, nil
}

// parents lists the directories that the files need, outer ones first.
func parents(files []driveFile) []string {
	seen := map[string]bool{}
	var dirs []string
	for _, f := range files {
		parts := strings.Split(path.Dir(f.path), "/")
		for i := range parts {
			if d := strings.Join(parts[:i+1], "/"); !seen[d] {
				seen[d] = true
				dirs = append(dirs, d)
			}
		}
	}
	return dirs
}

// isoImage makes an ISO 9660 image with the names of Rock Ridge and Joliet. The
// library makes it from a directory; that one lies in a place that nobody else
// may enter, because the files have passwords, and is gone afterwards.
func isoImage(files []driveFile, written time.Time) (image []byte, err error) {
	private, err := os.MkdirTemp("", "config-drive-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	root := filepath.Join(private, "root")
	// Modes are those that the guest sees.
	dirs := []string{root}
	for _, d := range parents(files) {
		dirs = append(dirs, filepath.Join(root, d))
	}
	for _, d := range dirs {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		name := filepath.Join(root, f.path)
		if err := os.WriteFile(name, f.data, 0o444); err != nil {
			return nil, err
		}
		if err := os.Chtimes(name, written, written); err != nil {
			return nil, err
		}
	}
	for _, d := range dirs {
		if err := os.Chtimes(d, written, written); err != nil {
			return nil, err
		}
	}
	m := &memory{}
	fs, err := iso9660.Create(m, 0, 0, 2048, root)
	if err != nil {
		return nil, err
	}
	if err := fs.Finalize(iso9660.FinalizeOptions{RockRidge: true, Joliet: true, VolumeIdentifier: driveLabel, PublisherIdentifier: "Kilonova"}); err != nil {
		return nil, err
	}
	padLabel(m.data)
	return m.data, nil
}

// padLabel fills the label up with spaces, as the standard has it: the library
// leaves zeros, which not every reader takes for the end. The primary descriptor
// has the label in bytes, the one of Joliet in UCS-2.
func padLabel(image []byte) {
	const sector, primary, at, length = 2048, 16, 40, 32
	ascii := image[primary*sector+at:][:length]
	copy(ascii[len(driveLabel):], strings.Repeat(" ", length))
	ucs2 := image[(primary+1)*sector+at:][:length]
	copy(ucs2[2*len(driveLabel):], strings.Repeat("\x00 ", length/2))
}
