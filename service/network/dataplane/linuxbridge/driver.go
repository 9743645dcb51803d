package linuxbridge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/network/dataplane"
)

// Config is what an operator says of a host. Names of options are upstream's
// where it has one.
type Config struct {
	// StateDir holds dnsmasq's files and what has to be restored. It and the
	// folders above must be readable by all: dnsmasq gives up its privileges.
	StateDir string
	// Physical says what is behind provider:physical_network
	// (bridge_mappings, physical_interface_mappings).
	Physical map[string]Physical
	// Domain is the DNS domain of guests (dns_domain); empty: openstacklocal.
	Domain string
	// Lease is how long a DHCP lease lasts (dhcp_lease_duration); 0: a day.
	Lease time.Duration
	// DNS is whom dnsmasq asks for names that are not the network's
	// (dnsmasq_dns_servers); empty: nobody.
	DNS []netip.Addr
}

// Physical is a network outside of the cloud.
type Physical struct {
	// Bridge carries the physical network; empty: the network's own brq bridge.
	// One that exists already is the operator's, used as it is: nothing below
	// but Masquerade is applied to it, and it is never removed.
	Bridge string
	// Interface is put into the bridge. It must not have addresses.
	Interface string
	// Address gives the host itself addresses on the bridge.
	Address []netip.Prefix
	// Masquerade lets the host forward between the bridge and the outside, and
	// hides what comes from the prefixes of Address behind the host's address.
	Masquerade bool
}

// Driver implements dataplane.Driver on this host. It is safe for concurrent use.
type Driver struct {
	cfg Config
	run host.Runner
	log *slog.Logger

	mu        sync.Mutex // holds all but listeners
	nl        *netlink.Handle
	netfilter map[int]*nl.SocketHandle
	prepared  bool
	filters   filters
	routers   map[string]appliedNAT

	listening sync.Mutex
	listeners map[string]*metadataListener // by network
}

var _ dataplane.Driver = (*Driver)(nil)

// New checks cfg and returns a driver. It does not touch the host: what is there
// is found, and made, by the first call that needs it.
func New(cfg Config, run host.Runner, log *slog.Logger) (*Driver, error) {
	if !filepath.IsAbs(cfg.StateDir) {
		return nil, fault.Invalidf("The state folder %q of the network dataplane is not an absolute path.", cfg.StateDir)
	}
	if err := checkPhysical(cfg.Physical); err != nil {
		return nil, err
	}
	if cfg.Domain == "" {
		cfg.Domain = "openstacklocal"
	}
	if !domainName(cfg.Domain) {
		return nil, fault.Invalidf("The DNS domain %q is not a name.", cfg.Domain)
	}
	if cfg.Lease == 0 {
		cfg.Lease = 24 * time.Hour
	}
	if cfg.Lease < 2*time.Minute {
		return nil, fault.Invalidf("A DHCP lease of %s is shorter than two minutes, the least that dnsmasq gives.", cfg.Lease)
	}
	return &Driver{
		cfg:       cfg,
		run:       run,
		log:       log,
		filters:   newFilters(),
		routers:   map[string]appliedNAT{},
		listeners: map[string]*metadataListener{},
	}, nil
}

// begin takes the lock for one call. The caller runs the function it returns
// when done.
func (d *Driver) begin(ctx context.Context) (done func(), err error) {
	d.mu.Lock()
	if err = ctx.Err(); err == nil && d.nl == nil {
		d.nl, err = netlink.NewHandle()
	}
	if err != nil {
		d.mu.Unlock()
		return nil, err
	}
	return d.mu.Unlock, nil
}

// beginMaking is begin for a call that makes something: at the first, the host
// is made ready.
func (d *Driver) beginMaking(ctx context.Context) (done func(), err error) {
	if done, err = d.begin(ctx); err != nil || d.prepared {
		return done, err
	}
	if err = d.prepare(ctx); err != nil {
		done()
		return nil, err
	}
	d.prepared = true
	return done, nil
}

// link returns the device of a name, nil if there is none.
func (d *Driver) link(name string) (netlink.Link, error) { return findLink(d.nl, name) }

func findLink(h *netlink.Handle, name string) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if _, absent := errors.AsType[netlink.LinkNotFoundError](err); absent {
		return nil, nil
	}
	return link, err
}

// links lists all devices of a namespace. A dump that changed under way is
// taken again.
func links(h *netlink.Handle) (all []netlink.Link, err error) {
	for range 5 {
		if all, err = h.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}

func hardwareAddr(mac string) net.HardwareAddr {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		return nil // refused before by dataplane.Check...
	}
	return hw
}
