package fake

import (
	"bytes"
	"context"
	"fmt"
	"io"
)

// How a run ends, as a guest's kernel says it.
const (
	poweredDown = "reboot: Power down\n"
	restarting  = "reboot: Restarting system\n"
	panicked    = "Kernel panic - not syncing: Attempted to kill init!\n"
)

// ConsoleLog implements hypervisor.ConsoleLogger. The text is made when it is
// asked for, from the runs that the guest has had: nothing is kept of it.
func (d *Driver) ConsoleLog(ctx context.Context, id string) (log io.ReadSeekCloser, size int64, err error) {
	var text bytes.Buffer
	err = d.do(ctx, ConsoleLog, id, func() error {
		g, err := d.find(id)
		if err != nil {
			return err
		}
		for i, b := range g.Boots {
			g.tell(&text, g.Lost+i+1, b)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	return closer{bytes.NewReader(text.Bytes())}, int64(text.Len()), nil
}

// tell writes one run, as a small Linux would.
func (g *guest) tell(w io.Writer, n int, b boot) {
	fmt.Fprintf(w, "[    0.000000] Linux version 6.1.0-fake (boot %d)\n", n)
	fmt.Fprintf(w, "[    0.000000] Memory: %dK/%dK available\n", b.MemoryMB*1000, b.MemoryMB*1024)
	fmt.Fprintf(w, "[    0.100000] smp: Brought up 1 node, %d CPUs\n", b.VCPUs)
	for i, nic := range g.Spec.NICs {
		fmt.Fprintf(w, "[    0.500000] virtio_net: eth%d: %s\n", i, nic.MAC)
	}
	fmt.Fprintf(w, "[    1.000000] Run /sbin/init as init process\n\n%s login: \n", g.Spec.Name)
	io.WriteString(w, b.End)
}

// closer gives a reader a Close.
type closer struct{ *bytes.Reader }

func (closer) Close() error { return nil }
