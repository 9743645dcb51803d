package fake

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hypervisor"
)

var _ hypervisor.Consoler = (*Driver)(nil)

// screenLife is how long a console that was asked for can be connected to.
const screenLife = 10 * time.Minute

// Console implements hypervisor.Consoler: a listener of its own for each that
// asks, for a while. What answers speaks enough of VNC (RFC 6143) for a viewer to
// see a small black screen; on the other kinds it greets and says everything back.
func (d *Driver) Console(ctx context.Context, id string, kind compute.ConsoleKind) (at compute.ConsoleAddress, err error) {
	name := ""
	err = d.do(ctx, Console, id, func() error {
		if err := d.running(id); err != nil {
			return err
		}
		name = d.state.Guests[id].Spec.Name
		return nil
	})
	if err != nil {
		return at, err
	}
	talk := map[compute.ConsoleKind]func(net.Conn, string) error{compute.VNC: screen, compute.SPICE: parrot, compute.Serial: parrot}[kind]
	if talk == nil {
		return at, fault.New(fault.Unsupported, "Guest %s has no console of the kind %.16q.", id, kind)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(d.cfg.HostIP)})
	if err != nil {
		return at, fault.New(fault.Unavailable, "The console of guest %s has no port: %w", id, err)
	}
	life, end := context.WithTimeout(context.WithoutCancel(ctx), screenLife)
	context.AfterFunc(life, func() { listener.Close() })
	go func() {
		defer end()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(life, func() { conn.Close() })
			go func() {
				defer conn.Close()
				_ = talk(conn, name) // an error is a viewer that has gone
			}()
		}
	}()
	addr := listener.Addr().(*net.TCPAddr)
	return compute.ConsoleAddress{Host: addr.IP.String(), Port: addr.Port}, nil
}

// parrot greets and repeats lines.
func parrot(conn net.Conn, name string) error {
	if _, err := fmt.Fprintf(conn, "%s login: ", name); err != nil {
		return err
	}
	_, err := io.Copy(conn, io.LimitReader(conn, 1<<20))
	return err
}

// screen is a VNC server without security that shows a black rectangle.
func screen(conn net.Conn, name string) error {
	const width, height = 64, 48
	in := bufio.NewReader(conn)
	for _, turn := range []struct {
		say  []byte
		hear int
	}{
		{[]byte("RFB 003.008\n"), 12}, // the version
		{[]byte{1, 1}, 1},             // one kind of security: none
		{[]byte{0, 0, 0, 0}, 1},       // accepted; then whether to share
	} {
		if _, err := conn.Write(turn.say); err != nil {
			return err
		}
		if _, err := io.ReadFull(in, make([]byte, turn.hear)); err != nil {
			return err
		}
	}
	hello := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, width), height)
	hello = append(hello, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	hello = append(binary.BigEndian.AppendUint32(hello, uint32(len(name))), name...)
	if _, err := conn.Write(hello); err != nil {
		return err
	}
	// The lengths of a viewer's messages behind their first byte.
	lengths := map[byte]int{0: 19, 2: 3, 3: 9, 4: 7, 5: 5, 6: 7}
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return err
		}
		length, known := lengths[kind]
		if !known {
			return fmt.Errorf("a message of the unknown kind %d", kind)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(in, body); err != nil {
			return err
		}
		rest := 0
		switch kind {
		case 2:
			rest = 4 * int(binary.BigEndian.Uint16(body[1:]))
		case 6:
			rest = int(binary.BigEndian.Uint32(body[3:]) & 0xffff)
		case 3:
			if body[0] == 0 { // the whole screen, raw
				update := []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, width, 0, height, 0, 0, 0, 0}
				if _, err := conn.Write(append(update, make([]byte, width*height*4)...)); err != nil {
					return err
				}
			}
		}
		if _, err := io.CopyN(io.Discard, in, int64(rest)); err != nil {
			return err
		}
	}
}
