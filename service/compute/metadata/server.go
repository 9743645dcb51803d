package metadata

import (
	"net/netip"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// Of says what a server's guest may learn. zone is the zone of its host, domain is
// put behind a name that has none.
func Of(s *compute.Server, zone, domain string) (*Instance, error) {
	inst := &Instance{UUID: s.ID, Seq: s.Seq, Name: s.DisplayName, Hostname: qualified(s.Hostname, domain), ShortName: s.Hostname, BootRoles: s.System.BootRoles, ProjectID: s.ProjectID, UserID: s.UserID, AvailabilityZone: zone,
		LaunchIndex: s.LaunchIndex, ReservationID: s.ReservationID, InstanceType: s.Flavor.Name, ImageID: s.ImageID,
		KernelID: s.ImageMeta.Properties["kernel_id"], RamdiskID: s.ImageMeta.Properties["ramdisk_id"], Meta: s.Metadata, AdminPass: s.AdminPass,
		BlockDevices: BlockDevices{Root: s.RootDevice}, Created: s.CreatedAt, Password: s.System.Password}
	if s.KeyName != "" {
		inst.Keys = []Key{{Name: s.KeyName, Type: keyType(s.KeyData), Data: s.KeyData}}
	}
	if s.UserData != "" {
		data, err := rest.Base64(s.UserData)
		if err != nil {
			return nil, fault.Invalidf("The user data of server %s are not base64.", s.ID)
		}
		inst.UserData = data
	}
	for _, d := range s.LocalDisks() {
		if d.Swap {
			inst.BlockDevices.Swap = d.Device
		} else {
			inst.BlockDevices.Ephemerals = append(inst.BlockDevices.Ephemerals, d.Device)
		}
		if d.Tag != "" {
			inst.Devices = append(inst.Devices, Device{Type: "disk", Bus: "pci", Path: d.Device, Tags: []string{d.Tag}})
		}
	}
	for _, d := range s.Devices {
		if d.Device != "" && !d.Boot {
			inst.BlockDevices.Volumes = append(inst.BlockDevices.Volumes, d.Device)
		}
		if d.Tag != "" {
			inst.Devices = append(inst.Devices, Device{Type: "disk", Bus: "pci", Serial: d.VolumeID, Path: d.Device, Tags: []string{d.Tag}})
		}
	}
	seen := map[string]bool{}
	for _, n := range s.Networks {
		inst.Interfaces = append(inst.Interfaces, ofInterface(n))
		for _, g := range n.Groups {
			if !seen[g] {
				seen[g] = true
				inst.SecurityGroups = append(inst.SecurityGroups, g)
			}
		}
		if n.Tag != "" {
			inst.Devices = append(inst.Devices, Device{Type: "nic", Bus: "pci", MAC: n.MAC, Tags: []string{n.Tag}})
		}
	}
	return inst, nil
}

func qualified(name, domain string) string {
	if domain == "" || strings.Contains(name, ".") {
		return name
	}
	return name + "." + domain
}

// keyType tells certificates from ssh keys.
func keyType(data string) string {
	if strings.HasPrefix(strings.TrimSpace(data), "-----BEGIN CERTIFICATE-----") {
		return "x509"
	}
	return "ssh"
}

func ofInterface(n compute.Interface) Interface {
	out := Interface{PortID: n.PortID, Device: compute.TapName(n.PortID), Type: "bridge", MAC: n.MAC, MTU: n.MTU, NetworkID: n.NetworkID}
	for _, ip := range n.FixedIPs {
		out.Subnets = append(out.Subnets, Subnet{Prefix: netip.PrefixFrom(ip.Address, ip.Prefix).Masked(), Addresses: []netip.Addr{ip.Address},
			Gateway: ip.Gateway, DNS: ip.DNS, DHCP: ip.DHCP, IPv6Mode: ip.IPv6Mode})
		subnet := &out.Subnets[len(out.Subnets)-1]
		for _, r := range ip.Routes {
			subnet.Routes = append(subnet.Routes, Route{r.Destination, r.NextHop})
		}
		out.Floating = append(out.Floating, ip.Floating...)
	}
	return out
}
