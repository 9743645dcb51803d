package libvirt

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// Driver is a hypervisor.Driver over libvirt, and a Rebooter, ConsoleLogger,
// Plugger and Watcher.
type Driver struct {
	cfg     Config
	log     *slog.Logger
	now     func() time.Time
	conn    *connection
	slow    *connection // for calls that may take long
	turns   turns
	builder builder
	static  static
}

// The driver claims these capabilities, and the compiler holds it to them.
var (
	_ hypervisor.Driver        = (*Driver)(nil)
	_ hypervisor.Rebooter      = (*Driver)(nil)
	_ hypervisor.ConsoleLogger = (*Driver)(nil)
	_ hypervisor.Plugger       = (*Driver)(nil)
	_ hypervisor.Watcher       = (*Driver)(nil)
)

// New connects to libvirt, finds out what the host can do, and makes the folder
// of the guests. fault.Invalid: an option is wrong; fault.Unavailable: libvirt
// does not answer; fault.Unsupported: it cannot run what virt_type asks for.
func New(ctx context.Context, cfg Config, log *slog.Logger, now func() time.Time) (*Driver, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.InstancesPath = filepath.Clean(cfg.InstancesPath)
	if err := os.MkdirAll(cfg.InstancesPath, 0o755); err != nil {
		return nil, fault.New(fault.Unavailable, "The folder of the guests cannot be made: %w", err)
	}
	socket, uri, err := cfg.address()
	if err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, log: log, now: now, conn: &connection{socket: socket, uri: uri, timeout: cfg.CallTimeout}}
	d.slow = &connection{socket: socket, uri: uri, timeout: slowTimeout}
	began := now()
	v, err := chooseVirtType(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if d.static, err = d.readStatic(ctx, &v); err != nil {
		d.conn.close()
		return nil, err
	}
	d.builder = builder{cfg: cfg, virtType: v.VirtType, arch: d.static.CPU.Arch}
	log.Info("libvirt driver is ready", "virt_type", v.VirtType, "why", v.Why, "host", d.static.HypervisorName,
		"qemu", d.static.HypervisorVersion, "took", now().Sub(began))
	return d, nil
}

// Close ends the connection to libvirt; guests are left as they are.
func (d *Driver) Close() {
	d.conn.close()
	d.slow.close()
}

// slowTimeout is when a call that may take long counts as hung.
const slowTimeout = time.Hour

// begin takes the guest's turn; the caller gives it back by end. An id that is
// not a UUID belongs to no guest.
func (d *Driver) begin(ctx context.Context, id string) (*turn, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	if !hypervisor.IsUUID(id) {
		return nil, nil, d.unknown(id)
	}
	t, err := d.turns.take(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return t, func() { d.turns.end(id, t) }, nil
}

func (d *Driver) unknown(id string) error {
	return fault.NotFoundf("Guest %q is not on host %s.", id, d.static.HypervisorName)
}

// find looks up a guest's domain; fault.NotFound when it is not here, also when
// a domain of that UUID is somebody else's.
func (d *Driver) find(ctx context.Context, t *turn, id string) (lv.Domain, error) {
	uuid, ok := parseUUID(id)
	if !ok {
		return lv.Domain{}, d.unknown(id)
	}
	dom, err := ask(ctx, d.conn, t, "look up guest "+id, func(l *lv.Libvirt) (lv.Domain, error) { return l.DomainLookupByUUID(uuid) })
	if fault.Is(err, fault.NotFound) {
		return dom, d.unknown(id)
	}
	if err != nil {
		return dom, err
	}
	ours, err := d.isOurs(ctx, t, dom)
	if err == nil && !ours {
		err = d.unknown(id)
	}
	return dom, err
}

// isOurs: a domain is ours when its folder is below instances_path, or when it
// carries the mark of this instances_path.
func (d *Driver) isOurs(ctx context.Context, t *turn, dom lv.Domain) (bool, error) {
	if _, err := os.Stat(d.dir(formatUUID(dom.UUID))); err == nil {
		return true, nil
	}
	text, err := ask(ctx, d.conn, t, "read the metadata of domain "+dom.Name, func(l *lv.Libvirt) (string, error) {
		return l.DomainGetMetadata(dom, int32(lv.DomainMetadataElement), lv.OptString{markNamespace}, 0)
	})
	if fault.Is(err, fault.NotFound) { // the domain, or its mark
		return false, nil
	}
	if err != nil {
		return false, err
	}
	m, err := parseMark(text)
	return err == nil && m.InstancesPath == d.cfg.InstancesPath, nil
}

// see reads a domain: what runs now, or what is defined for the next start.
func (d *Driver) see(ctx context.Context, t *turn, dom lv.Domain, flags lv.DomainXMLFlags) (seen, error) {
	text, err := ask(ctx, d.conn, t, "read the definition of guest "+formatUUID(dom.UUID), func(l *lv.Libvirt) (string, error) {
		return l.DomainGetXMLDesc(dom, flags)
	})
	if err != nil {
		return seen{}, err
	}
	return parseDomain(text)
}

func parseUUID(id string) (uuid lv.UUID, ok bool) {
	if !hypervisor.IsUUID(id) {
		return uuid, false
	}
	digits := strings.ReplaceAll(id, "-", "")
	for i := range uuid {
		uuid[i] = nibble(digits[2*i])<<4 | nibble(digits[2*i+1])
	}
	return uuid, true
}

func nibble(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func formatUUID(u lv.UUID) string {
	const digits = "0123456789abcdef"
	var text [36]byte
	at := 0
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		text[at], text[at+1] = digits[b>>4], digits[b&15]
		at += 2
	}
	return string(text[:])
}
