package libvirt

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kilonova/service/compute/hypervisor"
	"kilonova/service/compute/hypervisor/hypervisortest"
)

// obedientCode is an operating system in sixty bytes for the pc machine: it says
// something on the serial port, switches itself off when the power button is
// pressed, and lets go of PCI devices. Ports: COM1 at 0x3f8; the ACPI registers
// of the PIIX4 at 0x600 (status, enable, control); QEMU's PCI hot-plug at 0xae00
// (docs/specs/acpi_pci_hotplug).
var obedientCode = withGreeting([]byte{
	0x31, 0xc0, 0x8e, 0xd8, // xor ax, ax; mov ds, ax
	0xbe, 0x00, 0x00, // mov si, greeting      (offset 5 is filled in)
	0xac, 0x84, 0xc0, 0x74, 0x06, // next: lodsb; test al, al; jz done
	0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, // mov dx, 0x3f8; out dx, al; jmp next
	0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, // done: mov dx, 0x602; mov ax, 0x100; out dx, ax
	0xfb, 0xf4, // loop: sti; hlt            (until the next clock tick)
	0xba, 0x00, 0x06, 0xed, // mov dx, 0x600; in ax, dx
	0xf6, 0xc4, 0x01, 0x75, 0x11, // test ah, 1; jnz off
	0xba, 0x04, 0xae, 0x66, 0xed, // mov dx, 0xae04; in eax, dx
	0x66, 0x85, 0xc0, 0x74, 0xeb, // test eax, eax; jz loop
	0xba, 0x08, 0xae, 0x66, 0xef, // mov dx, 0xae08; out dx, eax
	0xeb, 0xe4, // jmp loop
	0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, // off: mov dx, 0x604; mov ax, 0x2000; out dx, ax
	0xeb, 0xdb, // jmp loop
})

// deafCode says something too, and then listens to nothing.
var deafCode = withGreeting([]byte{
	0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x00, 0x00,
	0xac, 0x84, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5,
	0xfb, 0xf4, 0xeb, 0xfc, // loop: sti; hlt; jmp loop
})

const greeting = "the tiny guest runs\r\n"

func withGreeting(code []byte) []byte {
	binary.LittleEndian.PutUint16(code[5:], uint16(0x7c00+len(code)))
	return append(append(code, greeting...), 0)
}

// tinyImage writes a raw disk of 1 MiB that runs code.
func tinyImage(t *testing.T, dir string, code []byte) hypervisor.Image {
	t.Helper()
	id := hypervisortest.NewID()
	path := filepath.Join(dir, id+".raw")
	if err := os.WriteFile(path, append(bootSector(code), make([]byte, 1<<20-sectorSize)...), 0o644); err != nil {
		t.Fatal(err)
	}
	return hypervisor.Image{ID: id, Path: path, Format: "raw"}
}

func tinyGuest(image hypervisor.Image) hypervisor.Guest {
	id := hypervisortest.NewID()
	return hypervisor.Guest{
		ID: id, Name: "instance-" + id[:8], Title: "tiny", ProjectID: "p", UserID: "u",
		VCPUs: 1, MemoryMB: 32, Image: image, Root: hypervisor.Disk{SizeGB: 1},
	}
}

func tinyNIC(*testing.T) hypervisor.NIC {
	return hypervisor.NIC{PortID: hypervisortest.NewID(), MAC: hypervisortest.NewMAC(), MTU: 1450}
}

// tinyVolume makes a volume of 1 MiB.
func (p *private) tinyVolume(t *testing.T) hypervisor.Volume {
	t.Helper()
	id := hypervisortest.NewID()
	path := filepath.Join(p.dir, "volume-"+id)
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	return hypervisor.Volume{ID: id, Device: "/dev/vdb", Kind: "file", Path: path, Format: "raw"}
}

// greeted waits until the guest has said something: then it listens.
func greeted(t *testing.T, d hypervisor.Driver, id string) {
	t.Helper()
	within(t, 30*time.Second, "the guest says that it runs", func() bool {
		text, err := os.ReadFile(consolePath(d.(*Driver).dir(id)))
		return err == nil && strings.Contains(string(text), greeting)
	})
}

// kill ends the QEMU of a guest, as the kernel does that is out of memory.
func kill(t *testing.T, _ hypervisor.Driver, id string) {
	t.Helper()
	pid := qemuOf(t, id)
	if pid == 0 {
		t.Fatalf("guest %s has no QEMU", id)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("end the QEMU of guest %s: %v", id, err)
	}
}

// qemuOf finds the process that has a guest's UUID on its command line; 0: none.
func qemuOf(t *testing.T, id string) int {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "\x00-uuid\x00"+id+"\x00") {
			continue // a process that has ended meanwhile, or another
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			return pid
		}
	}
	return 0
}

func TestLaw(t *testing.T) {
	withLibvirt(t, func(t *testing.T, p *private) {
		obedient, deaf := tinyImage(t, p.dir, obedientCode), tinyImage(t, p.dir, deafCode)
		hypervisortest.Test(t, hypervisortest.Harness{
			New:      func(t *testing.T) hypervisor.Driver { return p.driver(t) },
			Guest:    func(*testing.T) hypervisor.Guest { return tinyGuest(obedient) },
			Obedient: func(*testing.T) hypervisor.Guest { return tinyGuest(obedient) },
			Deaf:     func(*testing.T) hypervisor.Guest { return tinyGuest(deaf) },
			Booted:   greeted,
			NIC:      tinyNIC,
			Volume:   p.tinyVolume,
			Restart: func(t *testing.T, d hypervisor.Driver) hypervisor.Driver {
				d.(*Driver).Close()
				return p.driver(t)
			},
			Kill:     kill,
			Patience: 20 * time.Second,
			Crowd:    4,
		})
	})
}
