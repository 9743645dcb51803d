package metadata

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// dir is a directory of the EC2 tree. Its values are dir, string, int, []string
// (a file of lines) and []byte.
type dir map[string]any

// listedAs is the entry of a directory under which it appears in the listing of
// its parent instead of its name and a slash: EC2 lists public keys as "0=name".
const listedAs = "_name"

// ec2 reads a path of which the version is the first part.
func (t *Tree) ec2(parts []string) (Content, bool) {
	if len(parts) == 0 {
		return listing(append(slices.Clone(ec2Versions), latest)), true
	}
	version, ok := resolve(parts[0], ec2Versions)
	if !ok {
		return Content{}, false
	}
	var node any = t.ec2Root(version)
	for _, part := range parts[1:] {
		d, isDir := node.(dir)
		if node, ok = d[part]; !isDir || !ok || part == listedAs {
			return Content{}, false
		}
	}
	switch n := node.(type) {
	case dir:
		return listing(n.list()), true
	case []string:
		return listing(n), true
	case []byte:
		return Content{Body: n, Type: textType}, true
	}
	return plainText(fmt.Sprint(node)), true
}

// list is a directory's entries, sorted: those that are directories end in a
// slash.
func (d dir) list() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if name == listedAs {
			continue
		}
		if sub, ok := d[name].(dir); ok {
			if as, ok := sub[listedAs].(string); ok {
				name = as
			} else {
				name += "/"
			}
		}
		names = append(names, name)
	}
	return names
}

func (t *Tree) ec2Root(version string) dir {
	root := dir{"meta-data": t.ec2MetaData(version)}
	if t.inst.UserData != nil {
		root["user-data"] = t.inst.UserData
	}
	return root
}

// ec2MetaData is meta-data as a version has it.
func (t *Tree) ec2MetaData(version string) dir {
	i := t.inst
	groups := i.SecurityGroups
	if groups == nil {
		groups = []string{}
	}
	d := dir{
		"ami-id":            imageID("ami", i.ImageID),
		"ami-launch-index":  i.LaunchIndex,
		"ami-manifest-path": "FIXME", // there is no manifest, and this is what images have always been told
		"instance-id":       i.ec2ID(),
		"hostname":          i.Hostname,
		"local-ipv4":        i.fixedIPv4(),
		"reservation-id":    i.ReservationID,
		"security-groups":   groups,
	}
	if len(i.Keys) > 0 {
		key := i.Keys[0]
		d["public-keys"] = dir{"0": dir{listedAs: "0=" + key.Name, "openssh-key": key.Data}}
	}
	if version == ec2Versions[0] {
		return d
	}
	d["local-hostname"] = i.Hostname
	d["public-hostname"] = i.Hostname
	d["public-ipv4"] = i.floatingIPv4()
	if version >= "2007-08-29" {
		d["instance-type"] = i.InstanceType
	}
	if version >= "2007-12-15" {
		d["block-device-mapping"] = i.BlockDevices.ec2()
		if i.KernelID != "" {
			d["kernel-id"] = imageID("aki", i.KernelID)
		}
		if i.RamdiskID != "" {
			d["ramdisk-id"] = imageID("ari", i.RamdiskID)
		}
	}
	if version >= "2008-02-01" {
		d["placement"] = dir{"availability-zone": i.AvailabilityZone}
	}
	if version >= "2008-09-01" {
		d["instance-action"] = "none"
	}
	return d
}

// ec2 is block-device-mapping. Without a root device it is what upstream says
// then.
func (b BlockDevices) ec2() dir {
	if b.Root == "" {
		return dir{"ami": "sda1", "ephemeral0": "sda2", "root": "/dev/sda1", "swap": "sda3"}
	}
	d := dir{"ami": strings.TrimPrefix(b.Root, "/dev/"), "root": b.Root}
	for n, device := range b.Ephemerals {
		d["ephemeral"+strconv.Itoa(n)] = device
	}
	if b.Swap != "" {
		d["swap"] = b.Swap
	}
	for n, device := range slices.Sorted(slices.Values(b.Volumes)) {
		d["ebs"+strconv.Itoa(n)] = device
	}
	return d
}

// imageID is EC2's name of an image: its number, or a number made from its UUID
// that stays the same.
func imageID(kind, id string) string {
	if id == "" {
		return ""
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		n = uint64(hash32(id))
	}
	return fmt.Sprintf("%s-%08x", kind, n)
}

func (i *Instance) ec2ID() string {
	if i.Seq != 0 {
		return fmt.Sprintf("i-%08x", i.Seq)
	}
	return fmt.Sprintf("i-%08x", hash32(i.UUID))
}

func hash32(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// fixedIPv4 is the first IPv4 address, "" without one.
func (i *Instance) fixedIPv4() string {
	for _, n := range i.Interfaces {
		for _, s := range n.Subnets {
			for _, a := range s.Addresses {
				if a.Is4() {
					return a.String()
				}
			}
		}
	}
	return ""
}

func (i *Instance) floatingIPv4() string {
	for _, n := range i.Interfaces {
		for _, a := range n.Floating {
			if a.Is4() {
				return a.String()
			}
		}
	}
	return ""
}
