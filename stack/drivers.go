package stack

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
	fakehypervisor "kilonova/service/compute/hypervisor/fake"
	"kilonova/service/compute/hypervisor/libvirt"
	"kilonova/service/image/blob"
	imagecinder "kilonova/service/image/blob/cinder"
	imagefile "kilonova/service/image/blob/file"
	imagehttp "kilonova/service/image/blob/http"
	imagerbd "kilonova/service/image/blob/rbd"
	images3 "kilonova/service/image/blob/s3"
	imageswift "kilonova/service/image/blob/swift"
	"kilonova/service/network/dataplane"
	fakedataplane "kilonova/service/network/dataplane/fake"
	"kilonova/service/network/dataplane/linuxbridge"
	"kilonova/service/object/device"
	objectfile "kilonova/service/object/device/file"
)

// LibvirtOptions are those of the section [libvirt].
type LibvirtOptions = libvirt.Config

// hypervisors are the drivers that compute_driver may name.
var hypervisors = map[string]func(ctx context.Context, c *Config, hostName string, log *slog.Logger, now func() time.Time) (hypervisor.Driver, error){
	"fake": func(_ context.Context, c *Config, hostName string, _ *slog.Logger, _ func() time.Time) (hypervisor.Driver, error) {
		delay := c.Fake.Delay.D()
		var faults []fakehypervisor.Fault
		for _, f := range c.Fake.Faults {
			if f.Host == "" || f.Host == hostName {
				faults = append(faults, fakehypervisor.Fault{Verb: fakehypervisor.Verb(f.Verb), Times: f.Times, Err: fault.New(fault.Unavailable, "%s", f.Message)})
			}
		}
		dedicated, err := compute.ParseCPUSet(c.Compute.DedicatedSet)
		if err != nil {
			return nil, err
		}
		devices, err := fakeDevices(c)
		if err != nil {
			return nil, err
		}
		delays := map[fakehypervisor.Verb]time.Duration{fakehypervisor.Create: delay, fakehypervisor.Power: delay, fakehypervisor.Park: delay,
			fakehypervisor.Receive: delay, fakehypervisor.MigrateLive: max(delay, c.Fake.LiveDelay.D())}
		for verb, d := range c.Fake.Delays {
			delays[fakehypervisor.Verb(verb)] = d.D()
		}
		return fakehypervisor.New(fakehypervisor.Config{Host: hostName, NUMANodes: c.Fake.NUMANodes, Dedicated: dedicated, HugePages: c.Fake.HugePages,
			PCI: devices, PCIInPlacement: c.PCI.ReportInPlacement, HostIP: c.MyIP, StateFile: filepath.Join(c.Data, "fake", hostName+".json"),
			Delays: delays, Faults: faults}), nil
	},
	"libvirt": func(ctx context.Context, c *Config, hostName string, log *slog.Logger, now func() time.Time) (hypervisor.Driver, error) {
		o := c.Libvirt
		o.SharedSet, o.DedicatedSet, o.DeviceSpec, o.PCIInPlacement = c.Compute.SharedSet, c.Compute.DedicatedSet, c.PCI.deviceSpec(), c.PCI.ReportInPlacement
		o.InstancesPath, o.ServerListen, o.HostIP, o.Host = c.Default.InstancesPath, c.VNC.ServerListen, c.MyIP, hostName
		o.EphemeralFormat = c.Default.EphemeralFormat
		return libvirt.New(ctx, o, log, now)
	},
}

// fakeDevices are the PCI devices that guests of a fake host may have.
func fakeDevices(c *Config) ([]compute.PCIDevice, error) {
	all := fakehypervisor.Cards{Virtual: c.Fake.PCIDevices, PerCard: c.Fake.PCIFunctions, Plain: c.Fake.PCICards, Nodes: c.Fake.NUMANodes}.Devices()
	specs, err := compute.ReadDeviceSpecs(c.PCI.deviceSpec(), c.PCI.ReportInPlacement)
	if err != nil {
		return nil, err
	}
	if len(specs) > 0 {
		all = compute.AllowDevices(all, specs)
	} else {
		all = slices.DeleteFunc(all, func(d compute.PCIDevice) bool { return d.Type == compute.DevicePF })
	}
	if c.PCI.ReportInPlacement {
		err = compute.CheckDevices(all)
	}
	return all, err
}

// dataplanes are the drivers that [network] dataplane may name.
var dataplanes = map[string]func(c *Config, log *slog.Logger) (dataplane.Driver, error){
	"fake": func(*Config, *slog.Logger) (dataplane.Driver, error) {
		return fakedataplane.New(fakedataplane.Config{}), nil
	},
	"linuxbridge": func(c *Config, log *slog.Logger) (dataplane.Driver, error) {
		o, err := linuxBridgeConfig(c)
		if err != nil {
			return nil, err
		}
		return linuxbridge.New(o, host.Local{}, log)
	},
}

// FileOptions are those of a store of the kind file.
type FileOptions = imagefile.Options

// SwiftOptions are those of a store of the kind swift.
type SwiftOptions = imageswift.Options

// S3Options are those of a store of the kind s3.
type S3Options = images3.Options

// ImageStoreOptions are those of the sections [image.stores.NAME]. Each kind of
// store reads its own; their names do not collide.
type ImageStoreOptions struct {
	Description string `toml:"store_description"`
	Weight      int    `toml:"weight"` // the heaviest is read first
	FileOptions
	S3Options
	SwiftOptions
	RBDOptions
	CinderOptions
}

// CinderOptions are those of a store of the kind cinder.
type CinderOptions = imagecinder.Options

// RBDOptions are those of a store of the kind rbd.
type RBDOptions = imagerbd.Options

// imageStores are where images' data may lie.
var imageStores = map[string]func(ctx context.Context, c *Config, o ImageStoreOptions) (blob.Store, error){
	"cinder": func(_ context.Context, c *Config, o ImageStoreOptions) (blob.Store, error) {
		return imagecinder.New(o.CinderOptions, c.Host, c.MyIP, host.Local{}, time.Now)
	},
	"file": func(_ context.Context, c *Config, o ImageStoreOptions) (blob.Store, error) {
		if o.Dir == "" {
			o.Dir = c.Image.DataDir
		}
		return imagefile.New(o.FileOptions)
	},
	"http": func(_ context.Context, c *Config, _ ImageStoreOptions) (blob.Store, error) {
		return imagehttp.New(c.Image.Filtering), nil
	},
	"rbd": func(_ context.Context, _ *Config, o ImageStoreOptions) (blob.Store, error) {
		return imagerbd.New(o.RBDOptions, host.Local{})
	},
	"s3": func(ctx context.Context, _ *Config, o ImageStoreOptions) (blob.Store, error) {
		return images3.New(ctx, o.S3Options)
	},
	"swift": func(_ context.Context, _ *Config, o ImageStoreOptions) (blob.Store, error) {
		return imageswift.New(o.SwiftOptions, time.Now)
	},
}

// ObjectFileOptions are those of a device of the kind file.
type ObjectFileOptions = objectfile.Options

// objectDevices are where objects' bytes may lie.
var objectDevices = map[string]func(ObjectDevice) (device.Device, error){
	"file": func(o ObjectDevice) (device.Device, error) { return objectfile.New(o.ObjectFileOptions) },
}

func linuxBridgeConfig(c *Config) (linuxbridge.Config, error) {
	o := linuxbridge.Config{StateDir: filepath.Join(c.Data, "network"), Domain: strings.TrimSuffix(c.Network.DNSDomain, "."), Lease: c.LinuxBridge.Lease.D(),
		Physical: map[string]linuxbridge.Physical{}}
	for _, text := range c.LinuxBridge.DNS {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return o, fmt.Errorf("[linux_bridge] dnsmasq_dns_servers: %w", err)
		}
		o.DNS = append(o.DNS, addr)
	}
	for name, p := range c.LinuxBridge.Physical {
		physical := linuxbridge.Physical{Bridge: p.Bridge, Interface: p.Interface, Masquerade: p.Masquerade}
		for _, text := range p.Addresses {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return o, fmt.Errorf("[linux_bridge.physical_networks.%s] addresses: %w", name, err)
			}
			physical.Address = append(physical.Address, prefix)
		}
		o.Physical[name] = physical
	}
	return o, nil
}

// driver looks a name up in a table of drivers.
func driver[D any](kind, name string, table map[string]D) (D, error) {
	d, ok := table[name]
	if !ok {
		return d, fmt.Errorf("there is no %s %q; there are %s", kind, name, strings.Join(slices.Sorted(maps.Keys(table)), ", "))
	}
	return d, nil
}
