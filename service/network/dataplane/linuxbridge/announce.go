package linuxbridge

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// announcement is what neighbours have to hear of a device: its new addresses.
type announcement struct {
	device    int
	mac       net.HardwareAddr
	addresses []netip.Prefix
}

// announce sends gratuitous ARP from the calling thread's namespace for new
// IPv4 addresses, so that neighbours do not go on sending to a former holder.
// There are two habits of what neighbours believe, a request and a reply.
func announce(news []announcement) error {
	for _, n := range news {
		for _, p := range n.addresses {
			if !p.Addr().Is4() || p.Addr().IsLinkLocalUnicast() {
				continue
			}
			for _, operation := range []uint16{1, 2} {
				if err := send(n.device, arpFrame(operation, n.mac, p.Addr())); err != nil {
					return fmt.Errorf("announce %s: %w", p.Addr(), err)
				}
			}
		}
	}
	return nil
}

// arpFrame builds an Ethernet frame to all with an ARP packet of an address
// about itself.
func arpFrame(operation uint16, mac net.HardwareAddr, a netip.Addr) []byte {
	ip := a.AsSlice()
	target := make([]byte, 6)
	if operation == 2 {
		copy(target, mac)
	}
	frame := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	frame = append(frame, mac...)
	frame = append(frame, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4)
	frame = binary.BigEndian.AppendUint16(frame, operation)
	frame = append(append(frame, mac...), ip...)
	return append(append(frame, target...), ip...)
}

// send puts a frame on a device of the calling thread's namespace.
func send(device int, frame []byte) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: device, Halen: 6})
}
