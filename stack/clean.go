package stack

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// cleaner is implemented by hypervisor drivers whose guests outlive the agent:
// Retire ends all guests and keeps their disks, Clean removes these, too.
type cleaner interface {
	Retire(ctx context.Context) error
	Clean(ctx context.Context) error
}

// Clean removes from this host what its drivers have made: guests, bridges, taps,
// namespaces, rules, DHCP servers; with disks also the guests' disks. The cloud
// must not be running.
func Clean(ctx context.Context, c Config, disks bool, log *slog.Logger, now func() time.Time) error {
	if err := c.settle(); err != nil {
		return err
	}
	var errs []error
	makeHypervisor, err := driver("compute_driver", c.Default.ComputeDriver, hypervisors)
	if err != nil {
		return err
	}
	d, err := makeHypervisor(ctx, &c, c.Host, log, now)
	if err != nil {
		errs = append(errs, err)
	} else if x, ok := d.(cleaner); ok {
		if disks {
			errs = append(errs, x.Clean(ctx))
		} else {
			errs = append(errs, x.Retire(ctx))
		}
	}
	makeDataplane, err := driver("dataplane", c.Network.Dataplane, dataplanes)
	if err != nil {
		return err
	}
	plane, err := makeDataplane(&c, log)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, plane.Clean(ctx))...)
}
