package libvirt

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
)

// kinds says what libvirt's error numbers (virErrorNumber in virterror.h) mean
// for a caller. What is not here is Internal: a bug of ours, or of the host.
var kinds = map[lv.ErrorNumber]fault.Kind{
	lv.ErrNoDomain:             fault.NotFound,
	lv.ErrNoDomainMetadata:     fault.NotFound,
	lv.ErrNoSecret:             fault.NotFound,
	lv.ErrDeviceMissing:        fault.NotFound,
	lv.ErrOperationInvalid:     fault.Conflict,
	lv.ErrDomExist:             fault.Conflict,
	lv.ErrResourceBusy:         fault.Conflict,
	lv.ErrNoSupport:            fault.Unsupported,
	lv.ErrConfigUnsupported:    fault.Unsupported,
	lv.ErrArgumentUnsupported:  fault.Unsupported,
	lv.ErrOperationUnsupported: fault.Unsupported,
	lv.ErrNoConnect:            fault.Unavailable,
	lv.ErrRPC:                  fault.Unavailable,
	lv.ErrSystemError:          fault.Unavailable,
	lv.ErrOperationTimeout:     fault.Unavailable,
	lv.ErrAgentUnresponsive:    fault.Unavailable,
}

// noSlots is how libvirt says that a guest's buses are full, a fact for which it
// has no number of its own.
const noSlots = "No more available PCI"

// explain gives an error of a call a kind and a sentence: what could not be
// done, and what libvirt says about it.
func explain(err error, what string) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if told, ok := errors.AsType[*fault.Error](err); ok {
		return told
	}
	kind := fault.Internal
	if answer, ok := errors.AsType[lv.Error](err); ok {
		kind = kinds[lv.ErrorNumber(answer.Code)]
		if strings.Contains(answer.Message, noSlots) {
			kind = fault.OverLimit
		}
	} else if lost(err) {
		kind = fault.Unavailable
	} else if errors.Is(err, lv.ErrUnsupported) {
		kind = fault.Unsupported
	}
	return fault.New(kind, "The hypervisor could not %s: %w", what, err)
}

// lost reports whether err means that the connection is gone: the daemon ended
// or closed it, before or during the call.
func lost(err error) bool {
	if errors.Is(err, lv.ErrInterrupted) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return true // EINVAL is go-libvirt's answer for a closed socket
	}
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
