package control

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/internal/task"
	"kilonova/internal/undo"
	"kilonova/service/compute"
	"kilonova/service/compute/schedule"
)

// NewServer is what a caller asks for.
type NewServer struct {
	Name           string
	Description    *string
	Hostname       string // "" from Name
	FlavorID       string
	ImageID        string
	KeyName        string
	UserData       string // base64
	AdminPass      string // "" one is made
	Metadata       map[string]string
	Tags           []string
	Networks       []compute.NetworkRequest // nil: the project's only network
	NoNetwork      bool                     // "none"
	AutoNetwork    bool                     // "auto"
	KnowsRequests  bool                     // the client knows ports that take resources of their host (2.72)
	SecurityGroups []string
	Zone           string // may be ZONE:HOST:NODE for administrators
	Host, Node     string
	Files          []compute.InjectedFile
	Certificates   []string // ids of those that the image's signature may be made with
	ConfigDrive    bool
	DiskConfig     string
	AccessIPv4     string
	AccessIPv6     string
	MinCount       int
	MaxCount       int
	Hints          map[string]any
	Disks          []NewDisk // none: the image on the flavor's disk
	Multiattach    bool      // the caller knows that a volume can have several servers
}

// CreatedServers is the answer: the first of the servers, and what is theirs in
// common.
type CreatedServers struct {
	Server        *compute.Server
	AdminPass     string
	ReservationID string
}

// CreateServers checks a request whole, then writes the servers and one build
// task each, in one transaction with their quota.
func (c *Control) CreateServers(ctx context.Context, n NewServer) (created *CreatedServers, err error) {
	if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create", auth.Own(ctx)); err != nil {
		return nil, err
	}
	caller := auth.From(ctx)
	if caller.ProjectID == "" {
		return nil, fault.Invalidf("A server belongs to a project, and the token is not scoped to one.")
	}
	template, requested, err := c.template(ctx, caller, &n)
	if err != nil {
		return nil, err
	}
	group, err := c.hintedGroup(ctx, n.Hints)
	if err != nil {
		return nil, err
	}
	servers := replicate(template, n)
	disksWritten, let, err := c.guardDisks(ctx, servers, n.Disks)
	if err != nil {
		return nil, err
	}
	defer let()
	var u undo.Stack
	defer u.Run(ctx, &err)
	if err := c.makeDisks(ctx, &u, servers, n.Disks); err != nil {
		return nil, err
	}
	err = c.Store.Tx(ctx, func(tx *db.Tx) error {
		if err := c.groupTurn(ctx, tx, group); err != nil {
			return err
		}
		if err := c.takeQuota(ctx, tx, caller, servers); err != nil {
			return err
		}
		if err := c.join(ctx, tx, group, servers); err != nil {
			return err
		}
		if err := c.Store.InsertServers(ctx, tx, servers...); err != nil {
			return err
		}
		builds := make([]task.Task, len(servers))
		for i, s := range servers {
			if err := c.act(ctx, tx, s.ID, "create"); err != nil {
				return err
			}
			builds[i] = task.Task{Kind: taskBuild, Subject: s.ID, Payload: buildState{Requested: requested}, RequestID: rest.RequestID(ctx)}
		}
		if err := c.tasks.Add(ctx, tx, builds...); err != nil {
			return err
		}
		return disksWritten(tx)
	})
	if err != nil {
		return nil, err
	}
	return &CreatedServers{Server: servers[0], AdminPass: template.AdminPass, ReservationID: template.ReservationID}, nil
}

// template makes the server that all of a request are like, and says where they
// shall be, checking on the way everything that can be known now. Disks that the
// image describes are added to n's.
func (c *Control) template(ctx context.Context, caller *auth.Caller, n *NewServer) (*compute.Server, schedule.Place, error) {
	var place schedule.Place
	flavor, err := c.usableFlavor(ctx, n.FlavorID)
	if err != nil {
		return nil, place, asInvalid(err)
	}
	now := c.Now()
	s := &compute.Server{DisplayName: n.Name, Description: n.Description, Hostname: n.Hostname, ProjectID: caller.ProjectID, UserID: caller.UserID,
		State: compute.Building, Task: compute.Scheduling, Flavor: flavor, ImageID: n.ImageID, KeyName: n.KeyName, UserData: n.UserData,
		AdminPass: n.AdminPass, Files: n.Files, System: compute.System{BootRoles: bootRoles(caller), TrustedCertificates: n.Certificates}, Metadata: n.Metadata, Tags: n.Tags, ConfigDrive: n.ConfigDrive, DiskConfig: n.DiskConfig, AccessIPv4: n.AccessIPv4,
		AccessIPv6: n.AccessIPv6, ReservationID: "r-" + strings.ToLower(randomText(8)), RootDevice: "/dev/vda", Wanted: n.Networks,
		SecurityGroups: n.SecurityGroups, Hints: n.Hints, CreatedAt: now, UpdatedAt: now}
	if s.DiskConfig == "" {
		s.DiskConfig = "MANUAL"
	}
	if s.AdminPass == "" {
		s.AdminPass = randomText(12)
	}
	if err := c.checkSources(ctx, s, n); err != nil {
		return nil, place, err
	}
	if s.AvailabilityZone, place, err = c.placeAsked(ctx, *n); err != nil {
		return nil, place, err
	}
	if s.AvailabilityZone, err = c.zoneOfVolumes(ctx, s.AvailabilityZone, n.Disks); err != nil {
		return nil, place, err
	}
	if n.KeyName != "" {
		key, err := c.Store.Keypair(ctx, c.Store.DB, caller.UserID, n.KeyName)
		if fault.Is(err, fault.NotFound) {
			return nil, place, fault.Invalidf("Invalid key_name provided: you have no keypair %s.", n.KeyName)
		} else if err != nil {
			return nil, place, err
		}
		s.KeyData = key.PublicKey
	}
	if q := c.Options.Quota.MetadataItems; q >= 0 && len(n.Metadata) > q {
		return nil, place, overQuota("metadata_items", len(n.Metadata), 0, q)
	}
	if len(n.Certificates) > 0 {
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create:trusted_certs", auth.Own(ctx)); err != nil {
			return nil, place, err
		}
	}
	if err := c.checkFiles(ctx, caller, n.Files); err != nil {
		return nil, place, err
	}
	if len(n.Networks) > 0 || n.AutoNetwork {
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create:attach_network", auth.Own(ctx)); err != nil {
			return nil, place, err
		}
	}
	if !n.NoNetwork {
		s.Wanted, err = c.checkNetworks(ctx, caller, s, *n)
	}
	return s, place, err
}

// asInvalid turns "no such thing" into "your request is wrong": the thing is
// named in the body, not in the path.
func asInvalid(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.Invalid, "%w", err)
	}
	return err
}

// placeAsked reads where the server shall be: a zone, and for administrators a
// host and node by ZONE:HOST:NODE or by name.
func (c *Control) placeAsked(ctx context.Context, n NewServer) (zone string, place schedule.Place, err error) {
	zone, place = n.Zone, schedule.Place{Host: n.Host, Node: n.Node}
	if place != (schedule.Place{}) {
		if err := c.Policy.Enforce(ctx, "compute:servers:create:requested_destination", auth.Own(ctx)); err != nil {
			return "", place, err
		}
	}
	if z, rest, forced := strings.Cut(n.Zone, ":"); forced {
		if err := c.Policy.Enforce(ctx, "os_compute_api:servers:create:forced_host", auth.Own(ctx)); err != nil {
			return "", place, err
		}
		zone = z
		place.Host, place.Node, _ = strings.Cut(rest, ":")
	}
	if zone != "" {
		known, err := c.zoneExists(ctx, zone)
		if err != nil {
			return "", place, err
		}
		if !known {
			return "", place, fault.Invalidf("The requested availability zone is not available: there is no zone %s.", zone)
		}
	}
	if place.Host != "" {
		if _, err := c.Store.Host(ctx, c.Store.DB, compute.BinaryCompute, place.Host); err != nil {
			return "", place, asInvalid(err)
		}
	}
	if zone == "" {
		zone = c.Options.ScheduleZone
	}
	return zone, place, nil
}

// checkNetworks resolves what was asked for: ids that exist and may be used; the
// project's network when nothing was said.
func (c *Control) checkNetworks(ctx context.Context, caller *auth.Caller, s *compute.Server, n NewServer) ([]compute.NetworkRequest, error) {
	groups, err := c.Networks.SecurityGroups(ctx, caller.ProjectID, n.SecurityGroups)
	if err != nil {
		return nil, asInvalid(err)
	}
	s.SecurityGroups = groups
	if len(n.Networks) == 0 {
		available, err := c.Networks.Available(ctx, caller.ProjectID)
		if err != nil {
			return nil, err
		}
		switch {
		case len(available) > 1:
			return nil, fault.Conflictf("Multiple possible networks found, use a Network ID to be more specific.")
		case len(available) == 1:
			return []compute.NetworkRequest{{NetworkID: available[0].ID}}, nil
		case n.AutoNetwork:
			id, err := c.Networks.LayOut(ctx, caller.ProjectID)
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) {
				return nil, fault.Invalidf("Unable to automatically allocate a network for project %s: %w", caller.ProjectID, err)
			}
			return []compute.NetworkRequest{{NetworkID: id}}, err
		}
		return nil, nil
	}
	wanted := make([]compute.NetworkRequest, len(n.Networks))
	seen := map[string]bool{}
	for i, r := range n.Networks {
		if r.PortID != "" {
			port, err := c.Networks.Port(ctx, r.PortID)
			if err != nil {
				return nil, asInvalid(err)
			}
			if port.DeviceID != "" {
				return nil, fault.Conflictf("Port %s is still in use.", r.PortID)
			}
			if seen[r.PortID] {
				return nil, fault.Invalidf("Port %s is asked for twice.", r.PortID)
			}
			seen[r.PortID] = true
			r.NetworkID, r.VNICType = port.NetworkID, port.VNICType
			if r.Requests, err = c.wantsRequests(ctx, port, n.KnowsRequests); err != nil {
				return nil, err
			}
		} else if err := c.checkNetwork(ctx, r); err != nil {
			return nil, err
		}
		wanted[i] = r
	}
	return wanted, nil
}

func (c *Control) checkNetwork(ctx context.Context, r compute.NetworkRequest) error {
	network, err := c.Networks.Network(ctx, r.NetworkID)
	if err != nil {
		return asInvalid(err)
	}
	if network.External && !network.Shared && !c.Policy.Allows(ctx, "network:attach_external_network", auth.Own(ctx)) {
		return fault.Forbiddenf("It is not allowed to create an interface on external network %s", r.NetworkID)
	}
	if !network.HasSubnet {
		return fault.Invalidf("Network %s requires a subnet in order to boot instances on.", r.NetworkID)
	}
	if r.FixedIP != "" {
		if _, err := netip.ParseAddr(r.FixedIP); err != nil {
			return fault.Invalidf("Fixed IP %s is not a valid ip address.", r.FixedIP)
		}
	}
	return nil
}

// replicate makes as many servers of a template as were asked for.
func replicate(template *compute.Server, n NewServer) []*compute.Server {
	count := max(1, n.MaxCount)
	servers := make([]*compute.Server, count)
	for i := range servers {
		s := *template
		s.ID, s.LaunchIndex = newID(), i
		if count > 1 {
			s.DisplayName = fmt.Sprintf("%s-%d", template.DisplayName, i+1)
			if template.Hostname != "" {
				s.Hostname = fmt.Sprintf("%s-%d", template.Hostname, i+1)
			}
		}
		if s.Hostname == "" {
			s.Hostname = hostnameOf(s.DisplayName, "server-"+s.ID)
		}
		servers[i] = &s
	}
	return servers
}
