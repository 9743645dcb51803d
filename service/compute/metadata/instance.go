package metadata

import (
	"encoding/json"
	"io"
	"net/netip"
	"time"
)

// Instance is all that a guest can learn about itself.
type Instance struct {
	UUID string
	// Seq is the number from which EC2's i-xxxxxxxx is made; 0: from the UUID.
	Seq              int64
	Name             string // display name
	Hostname         string // with its domain, if there is one
	ShortName        string // without
	BootRoles        string // of the user who made it, with commas
	ProjectID        string
	UserID           string
	AvailabilityZone string
	LaunchIndex      int
	ReservationID    string // r-xxxxxxxx
	InstanceType     string // the flavor's name

	// ImageID, KernelID and RamdiskID are image ids; EC2 sees them as ami-, aki-
	// and ari-xxxxxxxx. Empty: there is none.
	ImageID   string
	KernelID  string
	RamdiskID string

	Keys []Key             // the first is the one that the server was made with
	Meta map[string]string // the user's metadata
	// UserData is decoded; nil: there is none, which differs from empty.
	UserData []byte
	// Password is what the guest has posted, encrypted with the user's key; ""
	// none yet.
	Password string
	// AdminPass is told by the config drive only.
	AdminPass string

	Interfaces     []Interface
	SecurityGroups []string // names
	BlockDevices   BlockDevices
	Devices        []Device
	// DedicatedCPUs are the guest's processors that have one of the host's each.
	DedicatedCPUs []int

	// VendorData is the operator's JSON object for all guests; nil stands for {}.
	// VendorData2 has what dynamic sources added, by their names.
	VendorData  json.RawMessage
	VendorData2 map[string]json.RawMessage

	// Created is the date of the files on the config drive.
	Created time.Time
	// Random is where random_seed comes from; nil: crypto/rand.
	Random io.Reader
}

// Key is a public key.
type Key struct {
	Name string
	Type string // "ssh" or "x509"
	Data string
}

// Interface is one network interface with what is known of its network. One
// without subnets is not told, as upstream does.
type Interface struct {
	PortID    string
	Device    string // host device, e.g. tap3b0e8f61-2c
	Type      string // VIF type: "ovs", "bridge", "tap"...; others are told as "phy"
	MAC       string
	MTU       int // 0: not known
	NetworkID string
	Subnets   []Subnet
	Floating  []netip.Addr
}

// Subnet is a subnet of an interface with the interface's addresses on it.
type Subnet struct {
	Prefix    netip.Prefix
	Addresses []netip.Addr // empty: the interface has none of this subnet
	Gateway   netip.Addr   // zero: none
	DNS       []netip.Addr
	Routes    []Route
	// DHCP says that the guest gets its address by DHCP. DHCPServer, if known,
	// makes upstream leave the MTU to DHCP too.
	DHCP       bool
	DHCPServer netip.Addr
	// IPv6Mode is ipv6_address_mode: "slaac", "dhcpv6-stateful",
	// "dhcpv6-stateless" or "".
	IPv6Mode string
}

// Route leads to a further network.
type Route struct {
	Destination netip.Prefix
	Gateway     netip.Addr
}

// BlockDevices are device names as the API promised them, like /dev/vda.
type BlockDevices struct {
	Root       string
	Ephemerals []string
	Swap       string
	Volumes    []string
}

// Device is a device that the user tagged, or whose place the guest cannot find
// out itself.
type Device struct {
	Type    string // "nic", "disk" or "share"
	Bus     string // "pci", "usb", "scsi", "ide", "xen"; "" not known
	Address string // on the bus, e.g. 0000:00:03.0; "" not known
	Tags    []string

	MAC       string // nic
	VLAN      int    // nic; 0: none
	VFTrusted bool   // nic

	Serial string // disk
	Path   string // disk

	ShareID  string // share
	ShareTag string // share: the tag to mount
}

// File is a file that the user asked to have injected ("personality").
type File struct {
	Path string // in the guest
	Data []byte
}
