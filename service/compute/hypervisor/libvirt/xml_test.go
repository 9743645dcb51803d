package libvirt

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample is a guest as the golden files have it.
func sample() hypervisor.Guest {
	return hypervisor.Guest{
		ID: "0d5ea1de-0000-4000-8000-00000000002a", Name: "instance-0000002a", Title: "väder & <vind>",
		ProjectID: "9f2c0d0e4b1d4b0c8c2f3a1e5d6b7c80", UserID: "1a2b3c4d5e6f708192a3b4c5d6e7f809",
		VCPUs: 2, MemoryMB: 512, Root: hypervisor.Disk{SizeGB: 5},
		Image: hypervisor.Image{ID: "0d5ea1de-0000-4000-8000-000000000001", Path: "/var/lib/kilonova/images/base", Format: "qcow2"},
		NICs:  []hypervisor.NIC{{PortID: "aa5ea1de-0000-4000-8000-0000000000aa", MAC: "fa:16:3e:00:00:01", MTU: 1450}},
	}
}

func isoImage() []byte {
	image := make([]byte, 18*2048)
	copy(image[16*2048:], "\x01CD001\x01")
	return image
}

// goldens are guests whose XML is kept in testdata.
var goldens = []struct {
	name     string
	virtType string
	cfg      Config
	change   func(g *hypervisor.Guest)
}{
	{"plain", "qemu", Config{}, func(*hypervisor.Guest) {}},
	{"kvm", "kvm", Config{}, func(g *hypervisor.Guest) {
		g.ConfigDrive = isoImage()
		g.Properties = map[string]string{"hw_qemu_guest_agent": "yes", "hw_future_property": "ignored"}
		g.NICs = append(g.NICs, hypervisor.NIC{PortID: "ab5ea1de-0000-4000-8000-0000000000ab", MAC: "fa:16:3e:00:00:02"})
		g.Volumes = []hypervisor.Volume{
			{ID: "0d5ea1de-0000-4000-8000-0000000000b1", Device: "/dev/vdc", Kind: "file", Path: "/volumes/1", Format: "raw"},
			{ID: "0d5ea1de-0000-4000-8000-0000000000b2", Device: "/dev/vdc", Kind: "file", Path: "/volumes/2", Format: "qcow2", ReadOnly: true},
		}
	}},
	{"q35", "qemu", Config{CPUMode: "maximum", NumPCIePorts: 8}, func(g *hypervisor.Guest) {
		g.ConfigDrive = isoImage()
		g.Properties = map[string]string{"hw_machine_type": "q35", "hw_vif_model": "e1000e", "hw_video_model": "vga"}
	}},
	{"scsi", "qemu", Config{}, func(g *hypervisor.Guest) {
		g.ConfigDrive = make([]byte, 4096)
		g.Properties = map[string]string{"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi", "hw_pointer_model": "ps2mouse"}
		g.Volumes = []hypervisor.Volume{{ID: "0d5ea1de-0000-4000-8000-0000000000b1", Device: "/dev/vdb", Kind: "nbd", Path: "/run/kilonova/v.sock"}}
	}},
	{"windows", "kvm", Config{CPUMode: "none"}, func(g *hypervisor.Guest) {
		g.Properties = map[string]string{"os_type": "windows", "hw_disk_bus": "ide", "hw_vif_model": "rtl8139", "hw_video_model": "cirrus"}
	}},
	{"local-disks", "qemu", Config{}, func(g *hypervisor.Guest) {
		g.Disks = []hypervisor.LocalDisk{{SizeMB: 10240, Device: "/dev/vdb"}, {SizeMB: 2048, Format: "xfs"}, {Swap: true, SizeMB: 512}}
		g.Volumes = []hypervisor.Volume{{ID: "0d5ea1de-0000-4000-8000-0000000000b1", Device: "/dev/vdb", Kind: "file", Path: "/volumes/1", Format: "raw"}}
	}},
	{"kernel", "qemu", Config{CPUMode: "custom", CPUModel: "qemu64"}, func(g *hypervisor.Guest) {
		g.Image.Kernel, g.Image.Ramdisk = "/var/lib/kilonova/images/kernel", "/var/lib/kilonova/images/ramdisk"
	}},
	{"numa", "kvm", Config{CPUMode: "none"}, func(g *hypervisor.Guest) {
		g.VCPUs, g.MemoryMB = 4, 2048
		g.Hold = &compute.Hold{Emulator: []int{7}, Devices: []compute.HeldDevice{{Address: "0000:81:00.1", Request: "vf"}}, Cells: []compute.GuestCell{
			{HostCell: 1, MemoryMB: 1024, PageKB: 2048, CPUs: []int{0, 1}, Pins: map[int]int{0: 5}, Shared: []int{8, 9, 10}},
			{HostCell: 0, MemoryMB: 1024, PageKB: 2048, CPUs: []int{2, 3}, Pins: map[int]int{2: 1, 3: 2}}}}
	}},
	{"boot-volume", "qemu", Config{}, func(g *hypervisor.Guest) {
		g.Image, g.Root = hypervisor.Image{}, hypervisor.Disk{}
		g.Volumes = []hypervisor.Volume{
			{ID: "0d5ea1de-0000-4000-8000-0000000000b1", Device: "/dev/vda", Boot: true, Kind: "iscsi",
				Portal: "192.0.2.1:3261", IQN: "iqn.2010-10.org.openstack:b1", LUN: 1, User: "u", Secret: "never in the XML"},
			{ID: "0d5ea1de-0000-4000-8000-0000000000b2", Device: "/dev/vdb", Kind: "iscsi", Portal: "2001:db8::1", IQN: "iqn.2010-10.org.openstack:b2"},
		}
	}},
}

func goldenXML(t *testing.T, cfg Config, virtType string, g hypervisor.Guest, dir string) string {
	t.Helper()
	spec, err := builder{cfg: cfg.withDefaults(), virtType: virtType, arch: "x86_64"}.build(g, dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	return text + "\n"
}

func TestGoldenXML(t *testing.T) {
	for _, tt := range goldens {
		t.Run(tt.name, func(t *testing.T) {
			g := sample()
			tt.change(&g)
			if err := g.Check(); err != nil {
				t.Fatal(err)
			}
			got := goldenXML(t, tt.cfg, tt.virtType, g, "/var/lib/kilonova/instances/"+g.ID)
			path := filepath.Join("testdata", tt.name+".xml")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the XML differs from %s (write it anew with -update):\n%s", path, got)
			}
			if strings.Contains(got, "never in the XML") {
				t.Error("a password is in the XML")
			}
		})
	}
}

// TestReadBack: what was written is found again, as hot-plug needs it.
func TestReadBack(t *testing.T) {
	g := sample()
	goldens[1].change(&g)
	s, err := parseDomain(goldenXML(t, Config{}, "kvm", g, "/i"))
	if err != nil {
		t.Fatal(err)
	}
	if m := s.Metadata.Mark; m == nil || m.InstancesPath != "/var/lib/kilonova/instances" || m.DiskBus != "virtio" || m.VIFModel != "virtio" {
		t.Errorf("the mark was read as %+v", m)
	}
	for id, dev := range map[string]string{g.Volumes[0].ID: "vdc", g.Volumes[1].ID: "vdb"} {
		if d, ok := s.volume(id); !ok || d.Target.Dev != dev {
			t.Errorf("volume %s was read as %+v, want %s", id, d, dev)
		}
	}
	for _, nic := range g.NICs {
		if i, ok := s.port(nic.PortID); !ok || i.MAC.Address != nic.MAC {
			t.Errorf("port %s was read as %+v", nic.PortID, i)
		}
	}
	if _, ok := s.volume("0d5ea1de-0000-4000-8000-0000000000ff"); ok {
		t.Error("a volume was found that is not there")
	}
}

func TestHardwareRefused(t *testing.T) {
	for name, value := range map[string]string{
		"hw_disk_bus": "xen", "hw_vif_model": "tulip", "hw_video_model": "gop", "hw_scsi_model": "buslogic",
		"hw_cdrom_bus": "floppy", "hw_machine_type": "pc'><evil/>", "hw_rng_model": "tpm", "os_command_line": "a\nb",
	} {
		g := sample()
		g.Properties = map[string]string{name: value}
		if _, err := readHardware(g, "pc"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s=%q: got %v, want a fault of kind invalid", name, value, err)
		}
	}
	g := sample()
	g.Properties = map[string]string{"hw_machine_type": "q35", "hw_disk_bus": "ide"}
	if _, err := readHardware(g, "pc"); !fault.Is(err, fault.Invalid) {
		t.Errorf("IDE in q35: got %v, want a fault of kind invalid", err)
	}
}

func TestTargetNames(t *testing.T) {
	for n, want := range map[int]string{0: "vda", 25: "vdz", 26: "vdaa", 51: "vdaz", 52: "vdba", 701: "vdzz", 702: "vdaaa"} {
		if got := targetName("vd", n); got != want {
			t.Errorf("targetName(%d) = %s, want %s", n, got, want)
		}
	}
	var s seen
	s.Devices.Disks = []disk{{Target: diskTarget{Dev: "vda"}}, {Target: diskTarget{Dev: "vdb"}}}
	for promised, want := range map[string]string{"/dev/vdx": "vdx", "/dev/vdb": "vdc", "": "vdc", "/dev/sdb": "vdc", "/dev/vd../x": "vdc"} {
		if got := freeTarget("virtio", promised, s); got != want {
			t.Errorf("freeTarget(%q) = %s, want %s", promised, got, want)
		}
	}
}

func TestUUID(t *testing.T) {
	const id = "0d5ea1de-89ab-4cde-8000-00000000002a"
	u, ok := parseUUID(id)
	if !ok || formatUUID(u) != id {
		t.Errorf("got %s, %v", formatUUID(u), ok)
	}
	if _, ok := parseUUID("nonsense"); ok {
		t.Error("nonsense is a UUID")
	}
}
