package libvirt

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/service/compute/hypervisor"
)

// guestImageEnv names a bootable qcow2 image with a getty on its serial port, as
// deploy/guest/build.sh makes it.
const guestImageEnv = "KILONOVA_GUEST_IMAGE"

// bootTime is how long a guest may take to its login prompt under emulation on a
// busy host.
const bootTime = 3 * time.Minute

// TestGuest drives an operating system: what a boot sector cannot prove.
func TestGuest(t *testing.T) {
	path := os.Getenv(guestImageEnv)
	if path == "" {
		t.Skipf("needs a guest image; %s names none", guestImageEnv)
	}
	withLibvirt(t, func(t *testing.T, p *private) {
		// QEMU's user must be able to read the image wherever it was built.
		image := hypervisor.Image{ID: "guest", Path: filepath.Join(p.dir, "guest.qcow2"), Format: "qcow2"}
		copyFile(t, path, image.Path)
		for _, machine := range []string{"pc", "q35"} {
			t.Run(machine, func(t *testing.T) { driveGuest(t, p, image, machine) })
		}
		t.Run("kernel", func(t *testing.T) { bootKernel(t, p, filepath.Dir(path)) })
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o644))
}

func driveGuest(t *testing.T, p *private, image hypervisor.Image, machine string) {
	d, g := p.driver(t), tinyGuest(image)
	g.MemoryMB, g.PowerOn, g.NICs = 128, true, []hypervisor.NIC{tinyNIC(t)}
	g.Properties = map[string]string{"hw_machine_type": machine}
	began := time.Now()
	must(t, d.Create(t.Context(), g))
	created := time.Since(began)
	prompts(t, d, g.ID, 1)
	t.Logf("created in %v, login after %v", created, time.Since(began))

	volume, nic := p.tinyVolume(t), tinyNIC(t)
	must(t, d.AttachVolume(t.Context(), g.ID, volume))
	must(t, d.AttachInterface(t.Context(), g.ID, nic))
	says(t, d, g.ID, "vdb", 20*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began = time.Now()
	must(t, d.DetachVolume(ctx, g.ID, volume.ID))
	must(t, d.DetachInterface(ctx, g.ID, nic.PortID))
	t.Logf("the guest let go of a volume and an interface in %v", time.Since(began))
	must(t, d.Unplug(t.Context(), nic))

	ctx, cancel = context.WithTimeout(t.Context(), bootTime)
	defer cancel()
	began = time.Now()
	must(t, d.Reboot(ctx, g.ID))
	t.Logf("rebooted in %v", time.Since(began))
	prompts(t, d, g.ID, 2)
	began = time.Now()
	must(t, d.Power(ctx, g.ID, hypervisor.PowerShutdown))
	t.Logf("shut down in %v", time.Since(began))
	if state, err := d.State(t.Context(), g.ID); err != nil || state != hypervisor.Shutdown {
		t.Errorf("after the shutdown: state %d, %v", state, err)
	}
}

// bootKernel boots a three-part image, if there is one beside the whole one.
func bootKernel(t *testing.T, p *private, dir string) {
	image := hypervisor.Image{ID: "parts", Format: "raw"}
	for name, field := range map[string]*string{"rootfs.ext4": &image.Path, "vmlinuz": &image.Kernel, "initrd": &image.Ramdisk} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Skipf("needs a three-part image beside the whole one: %v", err)
		}
		*field = filepath.Join(p.dir, name)
		copyFile(t, filepath.Join(dir, name), *field)
	}
	d, g := p.driver(t), tinyGuest(image)
	g.MemoryMB, g.PowerOn = 128, true
	must(t, d.Create(t.Context(), g))
	prompts(t, d, g.ID, 1)
}

// prompts waits for the nth login prompt.
func prompts(t *testing.T, d *Driver, id string, n int) {
	t.Helper()
	within(t, bootTime, "the guest asks for a login", func() bool { return strings.Count(said(t, d, id), " login:") >= n })
}

func says(t *testing.T, d *Driver, id, what string, limit time.Duration) {
	t.Helper()
	within(t, limit, "the guest says "+what, func() bool { return strings.Contains(said(t, d, id), what) })
}

func said(t *testing.T, d *Driver, id string) string {
	t.Helper()
	text, err := lastBytes(consolePath(d.dir(id)), maxConsole)
	must(t, err)
	return string(text)
}
