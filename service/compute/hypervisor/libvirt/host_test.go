package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	lv "github.com/digitalocean/go-libvirt"
	"github.com/vishvananda/netlink"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
	"kilonova/service/compute/hypervisor/hypervisortest"
)

// TestHost is what the law does not ask for: files, definitions, devices and
// other people's guests on a real libvirt.
func TestHost(t *testing.T) {
	withLibvirt(t, func(t *testing.T, p *private) {
		for _, tt := range []struct {
			name string
			test func(*testing.T, *private)
		}{
			{"Disk", testDisk}, {"DiskOfRedefinedGuest", testDiskIsKept}, {"HalfMadeDisk", testHalfMadeDisk},
			{"ImageTooLarge", testImageTooLarge}, {"ConfigDrive", testConfigDrive}, {"ForeignGuests", testForeignGuests},
			{"LibvirtRestarts", testLibvirtRestarts}, {"Schema", testSchema}, {"Buses", testBuses},
			{"HotplugQ35", testHotplugQ35}, {"NBD", testNBD}, {"Secret", testSecret}, {"Clean", testClean}, {"Move", testMove},
			{"Taps", testTaps}, {"HungLibvirt", testHungLibvirt}, {"CreateTime", testCreateTime},
			{"AutoVirtType", testAutoVirtType}, {"TalkativeGuest", testTalkativeGuest},
		} {
			t.Run(tt.name, func(t *testing.T) { tt.test(t, p) })
		}
	})
}

// info is what qemu-img says of a disk.
type info struct {
	Format      string `json:"format"`
	Virtual     int64  `json:"virtual-size"`
	Backing     string `json:"full-backing-filename"`
	BackingKind string `json:"backing-filename-format"`
}

func inspect(t *testing.T, path string) info {
	t.Helper()
	text, err := host.Local{}.Run(t.Context(), nil, "qemu-img", "info", "-U", "--output=json", path)
	if err != nil {
		t.Fatal(err)
	}
	var i info
	if err := json.Unmarshal(text, &i); err != nil {
		t.Fatal(err)
	}
	return i
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testDisk(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode))
	must(t, d.Create(t.Context(), g))
	want := info{Format: "qcow2", Virtual: gib, Backing: g.Image.Path, BackingKind: "raw"}
	if got := inspect(t, rootPath(d.dir(g.ID))); got != want {
		t.Errorf("the root disk is %+v, want %+v", got, want)
	}
	st, err := os.Stat(rootPath(d.dir(g.ID)))
	must(t, err)
	if owner := int(st.Sys().(*syscall.Stat_t).Uid); owner != d.static.uid || st.Mode().Perm() != 0o600 {
		t.Errorf("the root disk belongs to %d with mode %o; QEMU runs as %d", owner, st.Mode().Perm(), d.static.uid)
	}
	small := tinyGuest(g.Image)
	small.Root.SizeGB = 0
	must(t, d.Create(t.Context(), small))
	if got := inspect(t, rootPath(d.dir(small.ID))).Virtual; got != 1<<20 {
		t.Errorf("a root disk as large as the image has %d bytes", got)
	}
	must(t, d.Destroy(t.Context(), g.ID))
	if _, err := os.Stat(d.dir(g.ID)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of a destroyed guest: %v", err)
	}
	if _, err := os.Stat(g.Image.Path); err != nil {
		t.Errorf("the image went with the guest: %v", err)
	}
}

func testDiskIsKept(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode))
	must(t, d.Create(t.Context(), g))
	const pattern = "write -P 0x5a 65536 4096"
	_, err := host.Local{}.Run(t.Context(), nil, "qemu-io", "-c", pattern, rootPath(d.dir(g.ID)))
	must(t, err)
	g.PowerOn, g.MemoryMB = true, 48
	must(t, d.Create(t.Context(), g))
	must(t, d.Power(t.Context(), g.ID, hypervisor.PowerOff))
	out, err := host.Local{}.Run(t.Context(), nil, "qemu-io", "-c", "read -P 0x5a 65536 4096", rootPath(d.dir(g.ID)))
	must(t, err)
	if strings.Contains(string(out), "failed") {
		t.Errorf("a redefined guest has lost its data: %s", out)
	}
}

// testHalfMadeDisk: what a crash left behind under a working name is remade.
func testHalfMadeDisk(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode))
	must(t, os.Mkdir(d.dir(g.ID), 0o711))
	must(t, os.WriteFile(rootPath(d.dir(g.ID))+".part", []byte("half"), 0o600))
	g.PowerOn = true
	must(t, d.Create(t.Context(), g))
	if got := inspect(t, rootPath(d.dir(g.ID))); got.Format != "qcow2" || got.Virtual != gib {
		t.Errorf("the root disk is %+v", got)
	}
	if _, err := os.Stat(rootPath(d.dir(g.ID)) + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half-made disk: %v", err)
	}
}

func testImageTooLarge(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode))
	must(t, os.Truncate(g.Image.Path, 2*gib))
	err := d.Create(t.Context(), g)
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "2147483648") || !strings.Contains(err.Error(), "1 GB") {
		t.Errorf("got %v, want a fault of kind invalid that names both sizes", err)
	}
	g.Image.Path += "-none"
	if err := d.Create(t.Context(), g); !fault.Is(err, fault.NotFound) {
		t.Errorf("a missing image: got %v, want a fault of kind not found", err)
	}
	if entries, err := os.ReadDir(d.cfg.InstancesPath); err != nil || len(entries) != 0 {
		t.Errorf("refused guests left %v, %v", entries, err)
	}
}

func testConfigDrive(t *testing.T, p *private) {
	d := p.driver(t)
	for _, drive := range [][]byte{isoImage(), make([]byte, 1<<20)} {
		g := tinyGuest(tinyImage(t, p.dir, obedientCode))
		g.ConfigDrive, g.PowerOn = drive, true
		must(t, d.Create(t.Context(), g))
		got, err := os.ReadFile(configPath(d.dir(g.ID)))
		must(t, err)
		if string(got) != string(drive) {
			t.Error("the config drive differs from what was given")
		}
	}
}

func testForeignGuests(t *testing.T, p *private) {
	d, other := p.driver(t), p.driver(t, func(c *Config) { c.InstancesPath += "-other" })
	image := tinyImage(t, p.dir, obedientCode)
	ours, theirs := tinyGuest(image), tinyGuest(image)
	must(t, d.Create(t.Context(), ours))
	must(t, other.Create(t.Context(), theirs))
	plain := fmt.Sprintf(`<domain type='qemu'><name>somebodys</name><uuid>%s</uuid><memory unit='MiB'>16</memory>
		<metadata><nova:instance xmlns:nova='%s'><nova:name>x</nova:name></nova:instance></metadata>
		<os><type arch='x86_64'>hvm</type></os></domain>`, hypervisortest.NewID(), novaNamespace)
	foreign, err := ask(t.Context(), d.conn, nil, "define a foreign guest", func(l *lv.Libvirt) (lv.Domain, error) { return l.DomainDefineXML(plain) })
	must(t, err)
	defer func() {
		must(t, tell(context.WithoutCancel(t.Context()), d.conn, nil, "undefine a foreign guest", func(l *lv.Libvirt) error { return l.DomainUndefine(foreign) }))
	}()
	for _, id := range []string{formatUUID(foreign.UUID), theirs.ID} {
		if _, err := d.State(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("state of a foreign guest: got %v, want a fault of kind not found", err)
		}
		must(t, d.Destroy(t.Context(), id))
	}
	all, err := d.List(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != ours.ID {
		t.Errorf("listed %v, %v; want our one", all, err)
	}
	// A guest whose folder is lost is known by its mark.
	must(t, os.RemoveAll(d.dir(ours.ID)))
	if all, err = d.List(t.Context()); err != nil || len(all) != 1 {
		t.Errorf("without its folder: listed %v, %v", all, err)
	}
	must(t, d.Clean(t.Context()))
	if _, err := other.State(t.Context(), theirs.ID); err != nil {
		t.Errorf("another cloud's guest after a clean: %v", err)
	}
	if _, err := ask(t.Context(), d.conn, nil, "look", func(l *lv.Libvirt) (lv.Domain, error) { return l.DomainLookupByUUID(foreign.UUID) }); err != nil {
		t.Errorf("a foreign guest after a clean: %v", err)
	}
}

// testLibvirtRestarts: guests, verbs and the watch outlive the daemon.
func testLibvirtRestarts(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode))
	g.PowerOn = true
	must(t, d.Create(t.Context(), g))
	greeted(t, d, g.ID)
	pid := qemuOf(t, g.ID)
	ctx, cancel := context.WithCancel(t.Context())
	changed, ended := make(chan string, 1000), make(chan error, 1)
	go func() { ended <- d.Watch(ctx, func(id string) { changed <- id }) }()
	p.restart(t)
	if state, err := d.State(t.Context(), g.ID); err != nil || state != hypervisor.Running || qemuOf(t, g.ID) != pid {
		t.Errorf("after a restart of libvirtd: state %d, %v, process %d and before %d", state, err, qemuOf(t, g.ID), pid)
	}
	within(t, 15*time.Second, "the watch reports the guest after the restart", func() bool {
		select {
		case id := <-changed:
			return id == g.ID
		default:
			return false
		}
	})
	must(t, d.Power(t.Context(), g.ID, hypervisor.PowerShutdown))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
	log, size, err := d.ConsoleLog(t.Context(), g.ID)
	must(t, err)
	defer log.Close()
	text, err := io.ReadAll(log)
	if err != nil || int64(len(text)) != size || !strings.Contains(string(text), greeting) {
		t.Errorf("the console says %q, %v", text, err)
	}
}

// testSchema has libvirt hold the golden guests against its schema.
func testSchema(t *testing.T, p *private) {
	d := p.driver(t)
	const validate = 1 // VIR_DOMAIN_DEFINE_VALIDATE
	for _, tt := range goldens {
		g := sample()
		tt.change(&g)
		text := goldenXML(t, tt.cfg, "qemu", g, d.dir(g.ID))
		dom, err := ask(t.Context(), d.conn, nil, "define "+tt.name, func(l *lv.Libvirt) (lv.Domain, error) { return l.DomainDefineXMLFlags(text, validate) })
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		must(t, tell(t.Context(), d.conn, nil, "undefine "+tt.name, func(l *lv.Libvirt) error { return l.DomainUndefine(dom) }))
	}
}

// testBuses starts a guest on each kind of disk and interface that is common.
func testBuses(t *testing.T, p *private) {
	d, image := p.driver(t), tinyImage(t, p.dir, obedientCode)
	for _, properties := range []map[string]string{
		{"hw_disk_bus": "scsi"}, {"hw_disk_bus": "sata"}, {"hw_disk_bus": "ide", "hw_vif_model": "rtl8139", "hw_video_model": "cirrus"},
		{"hw_scsi_model": "lsilogic", "hw_disk_bus": "scsi", "hw_vif_model": "e1000"},
		{"hw_machine_type": "q35", "hw_vif_model": "e1000e", "hw_qemu_guest_agent": "yes"},
	} {
		g := tinyGuest(image)
		g.Properties, g.PowerOn, g.ConfigDrive = properties, true, isoImage()
		g.NICs, g.Volumes = []hypervisor.NIC{tinyNIC(t)}, []hypervisor.Volume{p.tinyVolume(t)}
		if err := d.Create(t.Context(), g); err != nil {
			t.Errorf("%v: %v", properties, err)
			continue
		}
		greeted(t, d, g.ID) // the BIOS has found the disk
		must(t, d.Power(t.Context(), g.ID, hypervisor.PowerOff))
	}
}

// testHotplugQ35: the spare ports take devices until none is left, which is told.
func testHotplugQ35(t *testing.T, p *private) {
	d, g := p.driver(t, func(c *Config) { c.NumPCIePorts = 12 }), tinyGuest(tinyImage(t, p.dir, obedientCode))
	g.Properties, g.PowerOn = map[string]string{"hw_machine_type": "q35"}, true
	must(t, d.Create(t.Context(), g))
	var err error
	n := 0
	for ; err == nil && n < 20; n++ {
		err = d.AttachVolume(t.Context(), g.ID, p.tinyVolume(t))
	}
	if n < 5 || n == 20 || !fault.Is(err, fault.OverLimit) {
		t.Errorf("the %dth volume got %v of kind %v", n, err, fault.KindOf(err))
	}
	t.Logf("%d volumes fit; the next: %v", n-1, err)
	if state, err := d.State(t.Context(), g.ID); err != nil || state != hypervisor.Running {
		t.Errorf("the guest has state %d, %v", state, err)
	}
}

// testNBD attaches a volume that another process serves on a socket.
func testNBD(t *testing.T, p *private) {
	path, err := host.Find("qemu-nbd")
	if err != nil {
		t.Skipf("needs the program qemu-nbd: %v", err)
	}
	d, g, v := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode)), p.tinyVolume(t)
	socket := filepath.Join(p.dir, "nbd.sock")
	server, err := os.StartProcess(path, []string{path, "-t", "-k", socket, "-f", "raw", v.Path}, &os.ProcAttr{})
	must(t, err)
	t.Cleanup(func() {
		_ = server.Kill()
		_, _ = server.Wait()
	})
	within(t, 5*time.Second, "the server listens", func() bool { return answers(socket) })
	must(t, os.Chmod(socket, 0o666))
	v.Kind, v.Path, v.Format = "nbd", socket, ""
	g.PowerOn = true
	must(t, d.Create(t.Context(), g))
	greeted(t, d, g.ID)
	must(t, d.AttachVolume(t.Context(), g.ID, v))
	must(t, d.DetachVolume(t.Context(), g.ID, v.ID))
}

// testSecret: a volume's password is in libvirt for as long as the guest has it.
func testSecret(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, obedientCode))
	v := hypervisor.Volume{ID: hypervisortest.NewID(), Kind: "iscsi", Portal: "127.0.0.1:3260", IQN: "iqn.2010-10.org.openstack:v", User: "u", Secret: "s"}
	kept := func() bool {
		uuid, _ := parseUUID(v.ID)
		_, err := ask(t.Context(), d.conn, nil, "look up a secret", func(l *lv.Libvirt) (lv.Secret, error) { return l.SecretLookupByUUID(uuid) })
		if err != nil && !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	must(t, d.Create(t.Context(), g))
	must(t, d.AttachVolume(t.Context(), g.ID, v))
	if !kept() {
		t.Error("an attached volume has no secret")
	}
	must(t, d.DetachVolume(t.Context(), g.ID, v.ID))
	if kept() {
		t.Error("a detached volume has left its secret")
	}
	g.Volumes = []hypervisor.Volume{v}
	must(t, d.Create(t.Context(), g))
	if !kept() {
		t.Error("a volume from birth has no secret")
	}
	must(t, d.Destroy(t.Context(), g.ID))
	if kept() {
		t.Error("a destroyed guest has left its volume's secret")
	}
}

func testClean(t *testing.T, p *private) {
	before := links(t)
	d, image := p.driver(t), tinyImage(t, p.dir, obedientCode)
	for _, on := range []bool{true, false} {
		g := tinyGuest(image)
		g.PowerOn, g.NICs = on, []hypervisor.NIC{tinyNIC(t)}
		must(t, d.Create(t.Context(), g))
		must(t, d.Plug(t.Context(), g.NICs[0]))
	}
	must(t, os.MkdirAll(filepath.Join(d.dir(hypervisortest.NewID()), "left"), 0o755))
	must(t, os.WriteFile(filepath.Join(d.cfg.InstancesPath, "locks"), nil, 0o600))
	must(t, d.Clean(t.Context()))
	must(t, d.Clean(t.Context()))
	entries, err := os.ReadDir(d.cfg.InstancesPath)
	if err != nil || len(entries) != 1 || entries[0].Name() != "locks" {
		t.Errorf("a clean left %v, %v; want only what is no guest's", entries, err)
	}
	if after := links(t); !slices.Equal(after, before) {
		t.Errorf("a clean left the taps %v; before there were %v", after, before)
	}
}

// links names the taps of the host.
func links(t *testing.T) []string {
	t.Helper()
	all, err := netlink.LinkList()
	must(t, err)
	var names []string
	for _, l := range all {
		if l.Type() == "tuntap" {
			names = append(names, l.Attrs().Name)
		}
	}
	slices.Sort(names)
	return names
}

func testTaps(t *testing.T, p *private) {
	d, nic := p.driver(t), tinyNIC(t)
	must(t, d.Plug(t.Context(), nic))
	defer func() { must(t, d.Unplug(context.WithoutCancel(t.Context()), nic)) }()
	link, err := netlink.LinkByName(compute.TapName(nic.PortID))
	must(t, err)
	a := link.Attrs()
	if a.MTU != nic.MTU || a.HardwareAddr.String() != "fe"+nic.MAC[2:] || a.Flags&1 != 0 {
		t.Errorf("the tap has MTU %d, address %v, flags %v", a.MTU, a.HardwareAddr, a.Flags)
	}
	nic.MTU = 1400
	must(t, d.Plug(t.Context(), nic))
	if link, err = netlink.LinkByName(a.Name); err != nil || link.Attrs().MTU != 1400 || link.Attrs().Index != a.Index {
		t.Errorf("plugged again with another MTU: %+v, %v", link.Attrs(), err)
	}
	// A guest keeps its tap when it stops, and gets it back when the host lost it.
	g := tinyGuest(tinyImage(t, p.dir, obedientCode))
	g.PowerOn, g.NICs = true, []hypervisor.NIC{nic}
	must(t, d.Create(t.Context(), g))
	must(t, d.Power(t.Context(), g.ID, hypervisor.PowerOff))
	if _, err := netlink.LinkByName(a.Name); err != nil {
		t.Errorf("the tap of a stopped guest: %v", err)
	}
	must(t, d.Unplug(t.Context(), nic))
	must(t, d.Power(t.Context(), g.ID, hypervisor.PowerOn))
	if _, err := netlink.LinkByName(a.Name); err != nil {
		t.Errorf("the tap of a guest that was started again: %v", err)
	}
}

// testHungLibvirt: a daemon that does not answer costs a caller his deadline and
// the driver one connection.
func testHungLibvirt(t *testing.T, p *private) {
	d := p.driver(t, func(c *Config) { c.CallTimeout = 300 * time.Millisecond })
	block := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	l, err := d.conn.get(t.Context())
	must(t, err)
	err = tell(ctx, d.conn, nil, "hang", func(*lv.Libvirt) error { <-block; return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded", err)
	}
	within(t, 5*time.Second, "the hung connection is replaced", func() bool {
		now, err := d.conn.get(t.Context())
		return err == nil && now != l
	})
	close(block)
	if _, err := d.List(t.Context()); err != nil {
		t.Error(err)
	}
}

// testCreateTime says where the time of a Create goes; a limit far above what is
// usual keeps it from rotting.
func testCreateTime(t *testing.T, p *private) {
	d, image := p.driver(t), tinyImage(t, p.dir, obedientCode)
	const n = 5
	took := make([]time.Duration, 0, n)
	for range n {
		g := tinyGuest(image)
		g.PowerOn, g.NICs = true, []hypervisor.NIC{tinyNIC(t)}
		must(t, d.Plug(t.Context(), g.NICs[0]))
		began := time.Now()
		must(t, d.Create(t.Context(), g))
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("create of a running guest: %v", took)
	if took[n/2] > 5*time.Second {
		t.Errorf("the median of %d creates is %v", n, took[n/2])
	}
}

// testTalkativeGuest: a guest that writes without end fills no disk, and the end
// of what it wrote can be read.
func testTalkativeGuest(t *testing.T, p *private) {
	d, g := p.driver(t), tinyGuest(tinyImage(t, p.dir, []byte{
		0xba, 0xf8, 0x03, 0xb0, 'x', // mov dx, 0x3f8; mov al, 'x'
		0xee, 0xeb, 0xfd, // loop: out dx, al; jmp loop
	}))
	g.PowerOn = true
	must(t, d.Create(t.Context(), g))
	oldest := fmt.Sprintf("%s.%d", consolePath(d.dir(g.ID)), logBackups-1)
	within(t, 30*time.Second, "the log has been put aside often enough", func() bool {
		_, err := os.Stat(oldest)
		return err == nil
	})
	must(t, d.Power(t.Context(), g.ID, hypervisor.PowerOff))
	log, size, err := d.ConsoleLog(t.Context(), g.ID)
	must(t, err)
	must(t, log.Close())
	if size < logSize || size > (logBackups+1)*logSize {
		t.Errorf("the log has %d bytes; %d files of %d are kept", size, logBackups+1, logSize)
	}
}

// testAutoVirtType: whatever the trial finds out on this host, guests run under it.
func testAutoVirtType(t *testing.T, p *private) {
	began := time.Now()
	d, g := p.driver(t, func(c *Config) { c.VirtType = "auto" }), tinyGuest(tinyImage(t, p.dir, obedientCode))
	v, err := chooseVirtType(t.Context(), d.cfg)
	must(t, err)
	t.Logf("%s, because %s; ready after %v", v.VirtType, v.Why, time.Since(began))
	g.PowerOn = true
	must(t, d.Create(t.Context(), g))
	greeted(t, d, g.ID)
}
