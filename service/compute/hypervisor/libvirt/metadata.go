package libvirt

import (
	"encoding/xml"
	"slices"
	"strings"

	"kilonova/service/compute"
)

// The namespaces of what the driver writes into a domain's metadata: upstream's,
// which tools of others read, and the driver's own mark.
const (
	novaNamespace = "http://openstack.org/xmlns/libvirt/nova/1.1"
	markNamespace = "urn:kilonova:guest:1"
)

// metadata is written with prefixes as upstream does; ownMetadata reads it back.
type metadata struct {
	Nova novaInstance `xml:"nova:instance"`
	Mark mark         `xml:"kilonova:guest"`
}

type novaInstance struct {
	NS    string      `xml:"xmlns:nova,attr"`
	Name  string      `xml:"nova:name"`
	Flav  novaFlavor  `xml:"nova:flavor"`
	Owner novaOwner   `xml:"nova:owner"`
	Root  *novaRoot   `xml:"nova:root"`
	Image *novaImage  `xml:"nova:image"`
	Ports []novaPorts `xml:"nova:ports>nova:port"`
}

type novaFlavor struct {
	Memory int `xml:"nova:memory"`
	Disk   int `xml:"nova:disk"`
	VCPUs  int `xml:"nova:vcpus"`
}

type novaOwner struct {
	User    novaID `xml:"nova:user"`
	Project novaID `xml:"nova:project"`
}

type novaID struct {
	UUID string `xml:"uuid,attr"`
}

type novaRoot struct {
	Type string `xml:"type,attr"`
	UUID string `xml:"uuid,attr"`
}

type novaImage struct {
	UUID       string         `xml:"uuid,attr"`
	Properties []novaProperty `xml:"nova:properties>nova:property"`
}

type novaProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:",chardata"`
}

type novaPorts struct {
	UUID string `xml:"uuid,attr"`
}

// mark says whose guest a domain is and keeps what a later hot-plug must know.
type mark struct {
	NS            string `xml:"xmlns:kilonova,attr"`
	InstancesPath string `xml:"instances_path,attr"`
	DiskBus       string `xml:"disk_bus,attr"`
	VIFModel      string `xml:"vif_model,attr"`
}

// seenMark is mark as libvirt gives it back: with its namespace as part of a
// domain, without it when asked for alone.
type seenMark struct {
	InstancesPath string `xml:"instances_path,attr"`
	DiskBus       string `xml:"disk_bus,attr"`
	VIFModel      string `xml:"vif_model,attr"`
}

// seen is what the driver reads of a domain that it finds.
type seen struct {
	Metadata struct {
		Mark *seenMark `xml:"urn:kilonova:guest:1 guest"`
	} `xml:"metadata"`
	Devices struct {
		Disks      []disk  `xml:"disk"`
		Interfaces []iface `xml:"interface"`
		Channels   []struct {
			Target struct {
				Name string `xml:"name,attr"`
			} `xml:"target"`
		} `xml:"channel"`
		Graphics []struct {
			Type string `xml:"type,attr"`
			Port int    `xml:"port,attr"`
		} `xml:"graphics"`
	} `xml:"devices"`
}

func parseDomain(text string) (seen, error) {
	var s seen
	err := xml.Unmarshal([]byte(text), &s)
	return s, err
}

func parseMark(text string) (seenMark, error) {
	var m seenMark
	err := xml.Unmarshal([]byte(text), &m)
	return m, err
}

// volume finds a volume's disk, by the serial number that is the volume's id.
func (s seen) volume(id string) (disk, bool) {
	i := slices.IndexFunc(s.Devices.Disks, func(d disk) bool { return d.Serial == id })
	if i < 0 {
		return disk{}, false
	}
	return s.Devices.Disks[i], true
}

// port finds a port's interface, by the name of its tap.
func (s seen) port(id string) (iface, bool) {
	tap := compute.TapName(id)
	i := slices.IndexFunc(s.Devices.Interfaces, func(n iface) bool { return n.Target != nil && n.Target.Dev == tap })
	if i < 0 {
		return iface{}, false
	}
	return s.Devices.Interfaces[i], true
}

// freeTarget picks a device name on a bus: the promised one if it is of that bus
// and free in all the domains given, else the first free one.
func freeTarget(bus, promised string, domains ...seen) string {
	taken := func(dev string) bool {
		return slices.ContainsFunc(domains, func(s seen) bool {
			return slices.ContainsFunc(s.Devices.Disks, func(d disk) bool { return d.Target.Dev == dev })
		})
	}
	prefix := busPrefix(bus)
	if dev := strings.TrimPrefix(promised, "/dev/"); isTarget(prefix, dev) && !taken(dev) {
		return dev
	}
	for n := 0; ; n++ {
		if dev := targetName(prefix, n); !taken(dev) {
			return dev
		}
	}
}

// targetName is the nth name of a kind of disks: vda ... vdz, vdaa ...
func targetName(prefix string, n int) string {
	name := string(rune('a' + n%26))
	for n = n/26 - 1; n >= 0; n = n/26 - 1 {
		name = string(rune('a'+n%26)) + name
	}
	return prefix + name
}

// isTarget reports whether dev is prefix and one or two letters.
func isTarget(prefix, dev string) bool {
	letters, ok := strings.CutPrefix(dev, prefix)
	return ok && len(letters) >= 1 && len(letters) <= 2 &&
		!strings.ContainsFunc(letters, func(r rune) bool { return r < 'a' || r > 'z' })
}

// hasAgent reports whether the guest has a line to an agent in it.
func (s seen) hasAgent() bool {
	for _, c := range s.Devices.Channels {
		if c.Target.Name == "org.qemu.guest_agent.0" {
			return true
		}
	}
	return false
}
