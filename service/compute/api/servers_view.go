package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"

	"kilonova/internal/auth"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

// serverView is a server as show and detail give it. Members that only some may
// see are absent for all others, and null where there is nothing.
type serverView struct {
	ID            string               `json:"id"`
	Name          string               `json:"name"`
	Status        string               `json:"status"`
	TenantID      string               `json:"tenant_id"`
	UserID        string               `json:"user_id"`
	Metadata      map[string]string    `json:"metadata"`
	HostID        string               `json:"hostId"`
	Image         any                  `json:"image"` // "" for servers that boot from a volume
	Flavor        any                  `json:"flavor"`
	Created       rest.Time            `json:"created"`
	Updated       rest.Time            `json:"updated"`
	Addresses     map[string][]address `json:"addresses"`
	AccessIPv4    string               `json:"accessIPv4"`
	AccessIPv6    string               `json:"accessIPv6"`
	Links         []link               `json:"links"`
	DiskConfig    string               `json:"OS-DCF:diskConfig"`
	Progress      rest.Opt[int]        `json:"progress,omitzero"`
	Zone          string               `json:"OS-EXT-AZ:availability_zone"`
	PinnedZone    *string              `json:"pinned_availability_zone" mv:"2.96-"`
	ConfigDrive   string               `json:"config_drive"`
	KeyName       *string              `json:"key_name"`
	LaunchedAt    rest.MicroTime       `json:"OS-SRV-USG:launched_at"`
	TerminatedAt  rest.MicroTime       `json:"OS-SRV-USG:terminated_at"`
	Groups        []groupName          `json:"security_groups,omitempty"`
	Host          rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:host,omitzero"`
	InstanceName  rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:instance_name,omitzero"`
	Node          rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:hypervisor_hostname,omitzero"`
	Hostname      rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:hostname,omitzero" mv:"2.3-"`
	KernelID      rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:kernel_id,omitzero" mv:"2.3-"`
	RamdiskID     rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:ramdisk_id,omitzero" mv:"2.3-"`
	ReservationID rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:reservation_id,omitzero" mv:"2.3-"`
	LaunchIndex   rest.Opt[int]        `json:"OS-EXT-SRV-ATTR:launch_index,omitzero" mv:"2.3-"`
	RootDevice    rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:root_device_name,omitzero" mv:"2.3-"`
	UserData      rest.Opt[string]     `json:"OS-EXT-SRV-ATTR:user_data,omitzero" mv:"2.3-"`
	TaskState     *compute.Task        `json:"OS-EXT-STS:task_state"`
	VMState       compute.State        `json:"OS-EXT-STS:vm_state"`
	PowerState    compute.Power        `json:"OS-EXT-STS:power_state"`
	Volumes       []volumeAttached     `json:"os-extended-volumes:volumes_attached"`
	Fault         *faultView           `json:"fault,omitempty"`
	Locked        bool                 `json:"locked" mv:"2.9-"`
	LockedReason  *string              `json:"locked_reason" mv:"2.73-"`
	HostStatus    rest.Opt[string]     `json:"host_status,omitzero" mv:"2.16-"`
	Description   *string              `json:"description" mv:"2.19-"`
	Tags          []string             `json:"tags" mv:"2.26-"`
	Certificates  *[]string            `json:"trusted_image_certificates" mv:"2.63-"`
	ServerGroups  rest.Opt[[]string]   `json:"server_groups,omitzero" mv:"2.71-"`
	Hints         rest.Opt[any]        `json:"scheduler_hints,omitzero" mv:"2.100-"`
	// In the answer to a rebuild only.
	RebuiltData rest.Opt[string] `json:"user_data,omitzero"`
	AdminPass   rest.Opt[string] `json:"adminPass,omitzero"`
}

// updatedView is what an update answered before 2.75: less than show.
type updatedView struct {
	ID           string                 `json:"id"`
	Name         string                 `json:"name"`
	Status       string                 `json:"status"`
	TenantID     string                 `json:"tenant_id"`
	UserID       string                 `json:"user_id"`
	Metadata     map[string]string      `json:"metadata"`
	HostID       string                 `json:"hostId"`
	Image        any                    `json:"image"`
	Flavor       any                    `json:"flavor"`
	Created      rest.Time              `json:"created"`
	Updated      rest.Time              `json:"updated"`
	Addresses    map[string][]plainAddr `json:"addresses"`
	AccessIPv4   string                 `json:"accessIPv4"`
	AccessIPv6   string                 `json:"accessIPv6"`
	Links        []link                 `json:"links"`
	DiskConfig   string                 `json:"OS-DCF:diskConfig"`
	Progress     rest.Opt[int]          `json:"progress,omitzero"`
	Fault        *faultView             `json:"fault,omitempty"`
	Locked       bool                   `json:"locked" mv:"2.9-"`
	LockedReason *string                `json:"locked_reason" mv:"2.73-"`
	Description  *string                `json:"description" mv:"2.19-"`
	Tags         []string               `json:"tags" mv:"2.26-"`
	Certificates *[]string              `json:"trusted_image_certificates" mv:"2.63-"`
	ServerGroups []string               `json:"server_groups" mv:"2.71-"`
	// In the answer to a rebuild only.
	KeyName   rest.Opt[string] `json:"key_name,omitzero" mv:"2.54-"`
	UserData  rest.Opt[string] `json:"user_data,omitzero" mv:"2.57-"`
	AdminPass rest.Opt[string] `json:"adminPass,omitzero"`
}

type plainAddr struct {
	Version int    `json:"version"`
	Addr    string `json:"addr"`
}

func (v *viewer) updated(s *compute.Server) *updatedView {
	w := v.server(s)
	out := &updatedView{ID: w.ID, Name: w.Name, Status: w.Status, TenantID: w.TenantID, UserID: w.UserID, Metadata: w.Metadata, HostID: w.HostID, Image: w.Image,
		Flavor: w.Flavor, Created: w.Created, Updated: w.Updated, Addresses: map[string][]plainAddr{}, AccessIPv4: w.AccessIPv4, AccessIPv6: w.AccessIPv6, Links: w.Links,
		DiskConfig: w.DiskConfig, Progress: w.Progress, Fault: w.Fault, Locked: w.Locked, LockedReason: w.LockedReason, Description: w.Description, Tags: w.Tags, Certificates: w.Certificates}
	out.ServerGroups = w.ServerGroups.V
	for name, list := range w.Addresses {
		for _, x := range list {
			out.Addresses[name] = append(out.Addresses[name], plainAddr{x.Version, x.Addr})
		}
	}
	return out
}

// certificates are null unless some were asked for.
func certificates(s *compute.Server) *[]string {
	if len(s.System.TrustedCertificates) == 0 {
		return nil
	}
	return &s.System.TrustedCertificates
}

type serverBrief struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Links []link `json:"links"`
}

type groupName struct {
	Name string `json:"name"`
}

type faultView struct {
	Code    int       `json:"code"`
	Created rest.Time `json:"created"`
	Message string    `json:"message"`
	Details *string   `json:"details,omitempty"`
}

type address struct {
	Version int    `json:"version"`
	Addr    string `json:"addr"`
	Type    string `json:"OS-EXT-IPS:type"`
	MAC     string `json:"OS-EXT-IPS-MAC:mac_addr"`
}

type imageView struct {
	ID         string            `json:"id"`
	Links      []link            `json:"links"`
	Properties map[string]string `json:"properties" mv:"2.98-"`
}

type flavorLink struct {
	ID    string `json:"id"`
	Links []link `json:"links"`
}

// flavorInServer is a server's flavor since 2.47: as it was, not a reference.
type flavorInServer struct {
	VCPUs      int               `json:"vcpus"`
	RAM        int               `json:"ram"`
	Disk       int               `json:"disk"`
	Ephemeral  int               `json:"ephemeral"`
	Swap       int               `json:"swap"`
	Name       string            `json:"original_name"`
	ExtraSpecs map[string]string `json:"extra_specs,omitzero"` // nil for who may not see them
}

// viewer makes views for one request: what is the same for all its servers is
// found once.
type viewer struct {
	r        *rest.Request
	base     string // scheme, host and prefix
	operator bool   // sees what is about hosts
	specs    bool   // sees the flavors' extra specs
	up       bool   // sees whether the hosts are up
	lost     bool   // sees of hosts that they are not known
	detail   bool   // of a list: some members are only shown one by one
	fleet    *control.Fleet
	hostIDs  map[[2]string]string // by project and host
	marks    map[[2]string][]link // bookmarks by kind and id
	groups   map[string]string    // server groups by server, where they are shown
}

// viewer is for views without servers' hosts.
func (a *api) viewer(r *rest.Request) *viewer { return &viewer{r: r, base: r.Link("")} }

// serverViewer is for whole servers; detail is for lists of them.
func (a *api) serverViewer(ctx context.Context, r *rest.Request, detail bool) (*viewer, error) {
	v := a.viewer(r)
	sees := func(rule string) bool { return a.control.Policy.Allows(ctx, "os_compute_api:"+rule, auth.Own(ctx)) }
	v.detail, v.operator, v.specs = detail, sees("os-extended-server-attributes"), sees("servers:show:flavor-extra-specs")
	v.up, v.lost = sees("servers:show:host_status"), sees("servers:show:host_status:unknown-only")
	var err error
	v.fleet, err = a.control.Fleet(ctx)
	return v, err
}

// oneServerViewer is for one whole server, with what lists do not show.
func (a *api) oneServerViewer(ctx context.Context, r *rest.Request, id string) (*viewer, error) {
	v, err := a.serverViewer(ctx, r, false)
	if err == nil && r.Version.AtLeast("2.71") {
		v.groups, err = a.control.GroupsOf(ctx, []string{id})
	}
	return v, err
}

func (v *viewer) links(kind, id string) []link {
	return []link{{Rel: "self", Href: v.base + "/v2.1/" + kind + "/" + id}, {Rel: "bookmark", Href: v.base + "/" + kind + "/" + id}}
}

// bookmark is for what many servers share.
func (v *viewer) bookmark(kind, id string) []link {
	key := [2]string{kind, id}
	mark := v.marks[key]
	if mark == nil {
		if v.marks == nil {
			v.marks = map[[2]string][]link{}
		}
		mark = []link{{Rel: "bookmark", Href: v.base + "/" + kind + "/" + id}}
		v.marks[key] = mark
	}
	return mark
}

func (v *viewer) brief(s *compute.Server) *serverBrief {
	return &serverBrief{ID: s.ID, Name: s.DisplayName, Links: v.links("servers", s.ID)}
}

// volumeAttached names a volume of a server; since 2.3 with whether it goes with it.
type volumeAttached struct {
	ID          string `json:"id"`
	DeleteOnEnd *bool  `json:"delete_on_termination,omitempty"`
}

func volumesAttached(v rest.Version, s *compute.Server) []volumeAttached {
	all := []volumeAttached{}
	for _, d := range s.Devices {
		if d.AttachmentID == "" {
			continue
		}
		x := volumeAttached{ID: d.VolumeID}
		if v.AtLeast("2.3") {
			x.DeleteOnEnd = &d.DeleteOnEnd
		}
		all = append(all, x)
	}
	return all
}

var progressShown = []string{"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"}

func (v *viewer) server(s *compute.Server) *serverView {
	out := new(serverView)
	v.describe(s, out)
	return out
}

// describe fills out with a server: lists have one view for all of theirs.
func (v *viewer) describe(s *compute.Server, out *serverView) {
	status := compute.Status(s.State, s.Task)
	*out = serverView{ID: s.ID, Name: s.DisplayName, Status: status, TenantID: s.ProjectID, UserID: s.UserID, Metadata: orEmpty(s.Metadata),
		HostID: v.hostID(s.ProjectID, s.Host), Image: "", Created: rest.Time{Time: s.CreatedAt}, Updated: rest.Time{Time: s.UpdatedAt},
		Addresses: addresses(s.Networks), AccessIPv4: s.AccessIPv4, AccessIPv6: s.AccessIPv6, Links: v.links("servers", s.ID), DiskConfig: s.DiskConfig,
		Zone: v.fleet.ZoneOf(s.Host), PinnedZone: unlessEmpty(&s.AvailabilityZone), KeyName: unlessEmpty(&s.KeyName), LaunchedAt: rest.MicroTime{Time: s.LaunchedAt},
		TerminatedAt: rest.MicroTime{Time: s.TerminatedAt}, Groups: groupNames(s), VMState: s.State, PowerState: s.Power, Volumes: volumesAttached(v.r.Version, s),
		Certificates: certificates(s), Locked: s.Locked, LockedReason: unlessEmpty(&s.LockedReason), Description: s.Description, Tags: orNone(s.Tags)}
	if s.ConfigDrive {
		out.ConfigDrive = "True"
	}
	if s.Task != compute.NoTask {
		out.TaskState = &s.Task
	}
	if slices.Contains(progressShown, status) {
		out.Progress = rest.Some(s.Progress)
	}
	if s.ImageID != "" {
		out.Image = &imageView{ID: s.ImageID, Links: v.bookmark("images", s.ImageID), Properties: orEmpty(s.ImageMeta.Properties)}
		if !v.r.Version.AtLeast("2.98") { // an interface's content has no window of its own
			out.Image = &flavorLink{ID: s.ImageID, Links: v.bookmark("images", s.ImageID)}
		}
	}
	if f := &s.Flavor; !v.r.Version.AtLeast("2.47") {
		out.Flavor = &flavorLink{ID: f.ID, Links: v.bookmark("flavors", f.ID)}
	} else {
		flavor := &flavorInServer{f.VCPUs, f.MemoryMB, f.RootGB, f.EphemeralGB, f.SwapMB, f.Name, nil}
		if v.specs {
			flavor.ExtraSpecs = orEmpty(f.ExtraSpecs)
		}
		out.Flavor = flavor
	}
	if s.Fault != nil && (status == "ERROR" || status == "DELETED") {
		out.Fault = &faultView{Code: s.Fault.Code, Created: rest.Time{Time: s.Fault.Created}, Message: s.Fault.Message}
		if v.operator && s.Fault.Details != "" {
			out.Fault.Details = &s.Fault.Details
		}
	}
	if v.r.Version.AtLeast("2.90") { // since then for everybody
		out.Hostname = rest.Some(s.Hostname)
	}
	if v.operator {
		v.forOperators(s, out)
	}
	if host := v.fleet.StatusOf(s.Host); v.up || v.lost && host == "UNKNOWN" {
		out.HostStatus = rest.Some(host)
	}
	if !v.detail {
		groups := []string{}
		if id := v.groups[s.ID]; id != "" {
			groups = append(groups, id)
		}
		out.ServerGroups = rest.Some(groups)
	}
	if v.r.Version.AtLeast("2.100") {
		hints := s.Hints
		if hints == nil {
			hints = map[string]any{}
		}
		out.Hints = rest.Some[any](hints)
	}
}

func (v *viewer) forOperators(s *compute.Server, out *serverView) {
	out.Host, out.Node = optText(s.Host), optText(s.Node)
	out.InstanceName = rest.Some(s.GuestName())
	out.Hostname = rest.Some(s.Hostname)
	out.KernelID, out.RamdiskID = rest.Some(s.ImageMeta.Properties["kernel_id"]), rest.Some(s.ImageMeta.Properties["ramdisk_id"])
	out.ReservationID, out.LaunchIndex = rest.Some(s.ReservationID), rest.Some(s.LaunchIndex)
	out.RootDevice, out.UserData = optText(s.RootDevice), optText(s.UserData)
}

func (v *viewer) hostID(projectID, host string) string {
	key := [2]string{projectID, host}
	id, ok := v.hostIDs[key]
	if !ok {
		if v.hostIDs == nil {
			v.hostIDs = map[[2]string]string{}
		}
		id = hostID(projectID, host)
		v.hostIDs[key] = id
	}
	return id
}

// hostID hides a host's name but tells a project's servers that share one apart
// from those that do not.
func hostID(projectID, host string) string {
	if host == "" {
		return ""
	}
	sum := sha256.Sum224([]byte(projectID + host))
	return hex.EncodeToString(sum[:])
}

func addresses(nics []compute.Interface) map[string][]address {
	all := map[string][]address{}
	for _, n := range nics {
		list := all[n.NetworkName]
		for _, ip := range n.FixedIPs {
			list = append(list, address{ipVersion(ip.Address), ip.Address.String(), "fixed", n.MAC})
			for _, f := range ip.Floating {
				list = append(list, address{ipVersion(f), f.String(), "floating", n.MAC})
			}
		}
		all[n.NetworkName] = list
	}
	return all
}

func ipVersion(a netip.Addr) int {
	if a.Is4() {
		return 4
	}
	return 6
}

func groupNames(s *compute.Server) []groupName {
	var names []groupName
	for _, n := range s.Networks {
		for _, g := range n.Groups {
			if !slices.Contains(names, groupName{g}) {
				names = append(names, groupName{g})
			}
		}
	}
	return names
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func orNull(text string) *string { return unlessEmpty(&text) }

// unlessEmpty returns text, or nil if it is empty.
func unlessEmpty(text *string) *string {
	if *text == "" {
		return nil
	}
	return text
}

// optText is a member that is there, as null when it is empty.
func optText(text string) rest.Opt[string] {
	return rest.Opt[string]{Set: true, Null: text == "", V: text}
}
