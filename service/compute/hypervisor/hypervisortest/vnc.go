package hypervisortest

import (
	"context"
	"io"
	"net"
	"strconv"

	"kilonova/service/compute"
)

// greetingOf connects to a VNC console and reads the version that it speaks.
func greetingOf(ctx context.Context, at compute.ConsoleAddress) (string, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	text := make([]byte, 12)
	_, err = io.ReadFull(conn, text)
	return string(text), err
}
