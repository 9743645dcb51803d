package api

import (
	"context"
	"encoding/json"
	"net/netip"
	"regexp"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute"
	"kilonova/service/compute/control"
)

type createServerBody struct {
	Server   createServer   `json:"server" check:"required"`
	Hints    map[string]any `json:"os:scheduler_hints"`
	OldHints map[string]any `json:"OS-SCH-HNT:scheduler_hints"`
}

type createServer struct {
	Name         string            `json:"name" check:"required len=1..255 name"`
	Description  *string           `json:"description" mv:"2.19-" check:"null len=0..255 printable"`
	FlavorRef    flavorRef         `json:"flavorRef" check:"required"`
	ImageRef     string            `json:"imageRef" check:"empty uuid"`
	AdminPass    string            `json:"adminPass" check:"len=0..255"`
	Metadata     map[string]string `json:"metadata"`
	Networks     networksField     `json:"networks"`
	DiskConfig   string            `json:"OS-DCF:diskConfig" check:"enum=AUTO|MANUAL"`
	AccessIPv4   string            `json:"accessIPv4" check:"ipv4"`
	AccessIPv6   string            `json:"accessIPv6" check:"ipv6"`
	Zone         *string           `json:"availability_zone" check:"len=1..255 name"`
	Host         *string           `json:"host" mv:"2.74-" check:"match=hostname len=1..255"`
	Node         *string           `json:"hypervisor_hostname" mv:"2.74-" check:"match=hostname len=1..255"`
	Hostname     *string           `json:"hostname" mv:"2.90-" check:"match=hostname len=1..255"`
	ConfigDrive  rest.Bool         `json:"config_drive"`
	KeyName      *string           `json:"key_name" check:"len=1..255 name"`
	MinCount     *rest.Int         `json:"min_count" check:"range=1.."`
	MaxCount     *rest.Int         `json:"max_count" check:"range=1.."`
	ReturnID     rest.Bool         `json:"return_reservation_id"`
	Groups       []groupRef        `json:"security_groups"`
	UserData     *string           `json:"user_data" check:"len=0..65535 base64"`
	Tags         []string          `json:"tags" mv:"2.52-" check:"len=0..50"`
	Disks        []blockDevice     `json:"block_device_mapping_v2"`
	OldDisks     []oldBlockDevice  `json:"block_device_mapping"`
	Files        []file            `json:"personality" mv:"-2.56"`
	Certificates []string          `json:"trusted_image_certificates" mv:"2.63-" check:"null len=1..50"`
}

// file is one element of personality.
type file struct {
	Path     string `json:"path"`
	Contents string `json:"contents" check:"base64"`
}

type groupRef struct {
	Name *string `json:"name" check:"len=1..255 name"`
}

// flavorRef is a flavor's id, which old clients write as a number or as a link.
type flavorRef string

// UnmarshalJSON implements json.Unmarshaler.
func (f *flavorRef) UnmarshalJSON(data []byte) error {
	text, err := textOrNumber("flavorRef", data)
	if data[0] != '"' && strings.ContainsAny(text, ".eE") {
		return fault.Invalidf("Invalid input for field/attribute flavorRef. Value: %.64s. It is not of type 'string', 'integer'", text)
	}
	*f = flavorRef(lastSegment(text))
	return err
}

// networksField is "networks": a list, or since 2.37 one of two words.
type networksField struct {
	isWord bool
	Word   string
	List   []networkRef
}

type networkRef struct {
	UUID    *string `json:"uuid"`
	Port    *string `json:"port" check:"null"`
	FixedIP *string `json:"fixed_ip"`
	Tag     *string `json:"tag"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *networksField) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		n.isWord = true
		return json.Unmarshal(data, &n.Word)
	}
	if string(data) == "null" {
		return fault.Invalidf("Invalid input for field/attribute networks. Value: None. None is not of type 'array'")
	}
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return fault.Invalidf("Invalid input for field/attribute networks. It is not a list of objects.")
	}
	for _, member := range list {
		for key, value := range member {
			switch key {
			case "uuid", "port", "fixed_ip", "tag":
			default:
				return fault.Invalidf("Invalid input for field/attribute networks. Additional properties are not allowed ('%.64s' was unexpected)", key)
			}
			if string(value) == "null" && key != "port" {
				return fault.Invalidf("Invalid input for field/attribute %s. Value: None. None is not of type 'string'", key)
			}
		}
	}
	if err := json.Unmarshal(data, &n.List); err != nil {
		return fault.Invalidf("Invalid input for field/attribute networks. An element has a member of the wrong type.")
	}
	return nil
}

func (n *networksField) check(v rest.Version) error {
	switch {
	case n.isWord && !v.AtLeast("2.37"):
		return fault.Invalidf("Invalid input for field/attribute networks. Value: %.64s. It is not of type 'array'", n.Word)
	case n.isWord && n.Word != "auto" && n.Word != "none":
		return fault.Invalidf("Invalid input for field/attribute networks. Value: %.64s. It is not one of ['none', 'auto']", n.Word)
	case !n.isWord && n.List == nil && v.AtLeast("2.37"):
		return fault.Invalidf("Invalid input for field/attribute server. 'networks' is a required property")
	}
	for _, ref := range n.List {
		if err := ref.check(v); err != nil {
			return err
		}
	}
	return nil
}

func (ref networkRef) check(v rest.Version) error {
	tags := v.AtLeast("2.42") || v.AtLeast("2.32") && !v.AtLeast("2.37")
	switch {
	case ref.Tag != nil && !tags:
		return fault.Invalidf("Invalid input for field/attribute networks. Additional properties are not allowed ('tag' was unexpected)")
	case ref.Tag != nil && !tagFits(*ref.Tag):
		return fault.Invalidf("Invalid input for field/attribute tag. Value: %.64s. A tag has 1 to 60 characters, none of them '/' or ','.", *ref.Tag)
	case ref.Port != nil && !rest.IsUUID(*ref.Port):
		return fault.Invalidf("Invalid input for field/attribute port. Value: %.64s. '%.64s' is not a 'uuid'", *ref.Port, *ref.Port)
	case ref.FixedIP != nil && *ref.FixedIP == "":
		return fault.Invalidf("Invalid input for field/attribute fixed_ip. Value: . '' is not a valid IP address")
	case ref.Port != nil && ref.FixedIP != nil:
		return fault.Invalidf("Specified Fixed IP '%.64s' cannot be used with port '%s': the two cannot be specified together.", *ref.FixedIP, *ref.Port)
	case ref.Port == nil && ref.UUID == nil:
		return fault.Invalidf("Bad network format: missing 'uuid'. A network request has a uuid or a port.")
	case ref.UUID != nil && !rest.IsUUID(*ref.UUID):
		return fault.Invalidf("Bad networks format: network uuid is not in proper format (%.64s)", *ref.UUID)
	}
	return nil
}

func (n *networksField) requests() []compute.NetworkRequest {
	var all []compute.NetworkRequest
	for _, ref := range n.List {
		all = append(all, compute.NetworkRequest{NetworkID: given(ref.UUID), PortID: given(ref.Port), FixedIP: given(ref.FixedIP), Tag: given(ref.Tag)})
	}
	return all
}

// given is an optional text, "" where there is none.
func given(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

type createdServer struct {
	ID         string      `json:"id"`
	Links      []link      `json:"links"`
	DiskConfig string      `json:"OS-DCF:diskConfig"`
	Groups     []groupName `json:"security_groups"`
	AdminPass  string      `json:"adminPass"`
}

func (a *api) createServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body createServerBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	for _, hints := range []map[string]any{body.Hints, body.OldHints} {
		if err := checkHints(hints); err != nil {
			return nil, err
		}
	}
	n, err := body.Server.request(r.Version)
	if err != nil {
		return nil, err
	}
	n.Hints = body.Hints
	if n.Hints == nil {
		n.Hints = body.OldHints
	}
	created, err := a.control.CreateServers(ctx, n)
	if err != nil {
		return nil, err
	}
	if body.Server.ReturnID {
		return rest.Accepted(map[string]string{"reservation_id": created.ReservationID}), nil
	}
	v := a.viewer(r)
	out := createdServer{ID: created.Server.ID, Links: v.links("servers", created.Server.ID), DiskConfig: created.Server.DiskConfig, AdminPass: created.AdminPass,
		Groups: []groupName{}}
	for _, g := range body.Server.Groups {
		if g.Name != nil {
			out.Groups = append(out.Groups, groupName{*g.Name})
		}
	}
	if len(out.Groups) == 0 {
		out.Groups = []groupName{{"default"}}
	}
	return rest.Accepted(map[string]any{"server": out}).With("Location", v.links("servers", out.ID)[0].Href), nil
}

// request checks what no tag can say and puts the body into control's words.
func (b *createServer) request(v rest.Version) (control.NewServer, error) {
	n := control.NewServer{Name: b.Name, Description: b.Description, Hostname: given(b.Hostname), FlavorID: string(b.FlavorRef), ImageID: b.ImageRef,
		AdminPass: b.AdminPass, Metadata: b.Metadata, Tags: b.Tags, Host: given(b.Host), Node: given(b.Node), ConfigDrive: bool(b.ConfigDrive), DiskConfig: b.DiskConfig,
		AccessIPv4: canonical(b.AccessIPv4), AccessIPv6: canonical(b.AccessIPv6), MinCount: 1}
	if err := b.Networks.check(v); err != nil {
		return n, err
	}
	n.Networks, n.NoNetwork, n.AutoNetwork = b.Networks.requests(), b.Networks.Word == "none", b.Networks.Word == "auto"
	n.KnowsRequests = v.AtLeast("2.72")
	if err := checkMetadata(b.Metadata); err != nil {
		return n, err
	}
	if err := checkTags(b.Tags); err != nil {
		return n, err
	}
	n.Tags = distinct(b.Tags)
	for _, g := range b.Groups {
		if g.Name != nil { // an element without a name names none
			n.SecurityGroups = append(n.SecurityGroups, *g.Name)
		}
	}
	for _, t := range []struct {
		from *string
		to   *string
	}{{b.Zone, &n.Zone}, {b.KeyName, &n.KeyName}, {b.UserData, &n.UserData}} {
		if t.from != nil {
			*t.to = *t.from
		}
	}
	if b.MinCount != nil {
		n.MinCount = int(*b.MinCount)
	}
	if n.MaxCount = n.MinCount; b.MaxCount != nil {
		n.MaxCount = int(*b.MaxCount)
	}
	if n.MinCount > n.MaxCount {
		return n, fault.Invalidf("min_count must be <= max_count")
	}
	if n.MaxCount > maxCount {
		return n, fault.Invalidf("Invalid input for field/attribute max_count. Value: %d. At most %d servers can be made by one request.", n.MaxCount, maxCount)
	}
	if err := checkHostname(v, given(b.Hostname)); err != nil {
		return n, err
	}
	if err := b.alone(n); err != nil {
		return n, err
	}
	if err := checkCertificates(b.Certificates); err != nil {
		return n, err
	}
	var err error
	if n.Files, err = injected(b.Files); err != nil {
		return n, err
	}
	n.Certificates = b.Certificates
	n.Multiattach = v.AtLeast("2.60")
	return n, b.takeDisks(v, &n)
}

// injected decodes the files of personality.
func injected(files []file) ([]compute.InjectedFile, error) {
	var all []compute.InjectedFile
	for _, f := range files {
		data, err := rest.Base64(f.Contents)
		if err != nil {
			return nil, fault.Invalidf("Personality content for %.64s cannot be decoded", f.Path)
		}
		all = append(all, compute.InjectedFile{Path: f.Path, Data: data})
	}
	return all, nil
}

// alone refuses several servers where only one can have what is asked for.
func (b *createServer) alone(n control.NewServer) error {
	if n.MaxCount < 2 {
		return nil
	}
	for _, q := range n.Networks {
		if q.FixedIP != "" {
			return fault.Invalidf("Invalid fixed IP address: max_count must be 1 if a fixed_ip is specified.")
		}
		if q.PortID != "" {
			return fault.Invalidf("Port %s can be had by one server only, and max_count is %d.", q.PortID, n.MaxCount)
		}
	}
	return nil
}

// label is a host name without a domain.
var label = regexp.MustCompile(`^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$`)

// checkHostname: before 2.94 a name has no domain.
func checkHostname(v rest.Version, name string) error {
	if name != "" && !v.AtLeast("2.94") && (len(name) > 63 || !label.MatchString(name)) {
		return fault.Invalidf("Invalid input for field/attribute hostname. Value: %.64s. It is no host name of 2 to 63 letters, digits and hyphens.", name)
	}
	return nil
}

func checkCertificates(ids []string) error {
	seen := map[string]bool{}
	for _, id := range ids {
		if id == "" || seen[id] {
			return fault.Invalidf("Invalid input for field/attribute trusted_image_certificates. Value: %.64s. They are all different, and none is empty.", id)
		}
		seen[id] = true
	}
	return nil
}

// canonical writes an address in its one short form, as it will be shown.
func canonical(ip string) string {
	if a, err := netip.ParseAddr(ip); err == nil {
		return a.String()
	}
	return ip
}

// maxCount bounds the servers of one request.
const maxCount = 1000

// checkMetadata applies what upstream's schema says of metadata.
func checkMetadata(m map[string]string) error {
	for k, v := range m {
		if !rest.Patterns["key"].MatchString(k) {
			return fault.Invalidf("Invalid input for field/attribute metadata. The key %.64q does not match '%s'", k, rest.Patterns["key"])
		}
		if len([]rune(v)) > 255 {
			return fault.Invalidf("Invalid input for field/attribute %s. Value: %.64s…. It is too long: at most 255 characters are allowed.", k, v)
		}
	}
	return nil
}

func (a *api) showServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	s, err := a.control.Server(ctx, r.Path("id"))
	if err != nil {
		return nil, err
	}
	return a.oneServer(ctx, r, s)
}

type serverBody struct {
	Server *serverView `json:"server"`
}

func (a *api) oneServer(ctx context.Context, r *rest.Request, s *compute.Server) (*rest.Response, error) {
	v, err := a.oneServerViewer(ctx, r, s.ID)
	if err != nil {
		return nil, err
	}
	return rest.OK(&serverBody{v.server(s)}), nil
}

type updateServerBody struct {
	Server *struct { // may be empty
		Name        *string          `json:"name" check:"len=1..255 name"`
		DiskConfig  *string          `json:"OS-DCF:diskConfig" check:"enum=AUTO|MANUAL"`
		AccessIPv4  *string          `json:"accessIPv4" check:"ipv4"`
		AccessIPv6  *string          `json:"accessIPv6" check:"ipv6"`
		Description rest.Opt[string] `json:"description" mv:"2.19-" check:"null len=0..255 printable"`
		Hostname    *string          `json:"hostname" mv:"2.90-" check:"match=hostname len=1..255"`
		PinnedZone  rest.Opt[string] `json:"pinned_availability_zone" mv:"2.104-" check:"null len=1..255"`
	} `json:"server" check:"required"`
}

func (a *api) updateServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body updateServerBody
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Server
	for _, ip := range []*string{b.AccessIPv4, b.AccessIPv6} {
		if ip != nil {
			*ip = canonical(*ip)
		}
	}
	change := control.ServerChange{Name: b.Name, Hostname: b.Hostname, AccessIPv4: b.AccessIPv4, AccessIPv6: b.AccessIPv6, DiskConfig: b.DiskConfig}
	if b.Description.Set {
		var text *string
		if !b.Description.Null {
			text = &b.Description.V
		}
		change.Description = &text
	}
	if b.Hostname != nil {
		if err := checkHostname(r.Version, *b.Hostname); err != nil {
			return nil, err
		}
	}
	if b.PinnedZone.Set {
		change.PinnedZone = &b.PinnedZone.V // "" when it is null
	}
	s, err := a.control.UpdateServer(ctx, r.Path("id"), change)
	if err != nil {
		return nil, err
	}
	if r.Version.AtLeast("2.75") {
		return a.oneServer(ctx, r, s)
	}
	v, err := a.oneServerViewer(ctx, r, s.ID)
	if err != nil {
		return nil, err
	}
	return rest.OK(&struct {
		Server *updatedView `json:"server"`
	}{v.updated(s)}), nil
}

func (a *api) deleteServer(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.DeleteServer(ctx, r.Path("id")); err != nil {
		return nil, err
	}
	return rest.NoContent(), nil
}
