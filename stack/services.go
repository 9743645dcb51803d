package stack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kilonova/internal/bus"
	"kilonova/internal/host"
	"kilonova/internal/peer"
	"kilonova/service/compute"
	computeagent "kilonova/service/compute/agent"
	computeapi "kilonova/service/compute/api"
	"kilonova/service/compute/console"
	computecontrol "kilonova/service/compute/control"
	"kilonova/service/compute/metadata"
	computeremote "kilonova/service/compute/remote"
	computestore "kilonova/service/compute/store"
	identityapi "kilonova/service/identity/api"
	identitycontrol "kilonova/service/identity/control"
	identitystore "kilonova/service/identity/store"
	imageapi "kilonova/service/image/api"
	imagecontrol "kilonova/service/image/control"
	imagestore "kilonova/service/image/store"
	networkagent "kilonova/service/network/agent"
	networkapi "kilonova/service/network/api"
	networkcontrol "kilonova/service/network/control"
	networkremote "kilonova/service/network/remote"
	networkstore "kilonova/service/network/store"
	placementapi "kilonova/service/placement/api"
	placementcontrol "kilonova/service/placement/control"
	placementstore "kilonova/service/placement/store"
)

func (s *Stack) startIdentity() error {
	d, err := s.database("identity")
	if err != nil {
		return err
	}
	st, err := identitystore.New(s.ctx, d)
	if err != nil {
		return err
	}
	s.identity, err = identitycontrol.New(identitycontrol.Config{Store: st, Log: s.Log, Now: s.Now, Options: s.Config.identityOptions(), Changed: s.believed.forget})
	if err != nil {
		return err
	}
	if err := s.identity.Bootstrap(s.ctx, s.bootstrap()); err != nil {
		return err
	}
	s.mount("identity", identityapi.New(s.identity, identityapi.Options{Validator: s.identity.Validator(), Log: s.Log, Now: s.Now, AuthURL: s.authURL, Observe: s.metrics.observe}))
	s.run("identity", s.identity.Run)
	return nil
}

// bootstrap is what has to be in the identity service before anything else.
func (s *Stack) bootstrap() identitycontrol.Bootstrap {
	c := s.Config
	b := identitycontrol.Bootstrap{AdminUser: c.Bootstrap.AdminName, AdminPassword: c.Secrets.AdminPassword, Region: c.Region}
	users := []AuthToken{c.AuthToken, c.Network.AuthToken, c.Image.AuthToken, c.Placement.AuthToken}
	if s.has(ObjectStore) || c.Peers[objectStoreType] != "" {
		users = append(users, c.Object.AuthToken)
		b.Roles = append(slices.Clone(c.Object.OperatorRoles), c.Object.ResellerAdminRole)
	}
	for _, u := range users {
		if u.UserDomain == "Default" && u.Project == "service" && u.ProjectDomain == "Default" { // others are the operator's
			b.ServiceUsers = append(b.ServiceUsers, identitycontrol.ServiceUser{Name: u.Username, Password: u.Password})
		}
	}
	for _, e := range []struct{ kind, name, path string }{{"identity", "keystone", ""}, {"image", "glance", ""}, {"placement", "placement", ""},
		{"network", "neutron", ""}, {"compute", "nova", "/v2.1"}, {objectStoreType, "swift", "/v1/" + c.Object.ResellerPrefix + "%(project_id)s"}} {
		url := s.front.public + prefixes[e.kind] + e.path
		elsewhere := c.Peers[e.kind]
		switch here := s.has(Role(e.kind)); {
		case elsewhere == byCatalog && !here: // it is the operator who says where
			continue
		case elsewhere == "" && !here && e.kind == objectStoreType: // which not every cloud has
			continue
		case elsewhere != "" && !here:
			url = strings.TrimSuffix(elsewhere, "/") + e.path
		}
		b.Services = append(b.Services, identitycontrol.BootstrapService{Type: e.kind, Name: e.name, Public: url, Internal: url, Admin: url})
	}
	if s.has(ObjectStore) {
		b.Services = append(b.Services, identitycontrol.BootstrapService{Type: "s3", Name: "s3", Public: s.front.public, Internal: s.front.public, Admin: s.front.public})
	}
	for _, kind := range []string{volumeType, shareType, bareMetalType} {
		if url := strings.TrimSuffix(c.Peers[kind], "/"); url != "" && url != byCatalog {
			for _, as := range foreign[kind] {
				b.Services = append(b.Services, identitycontrol.BootstrapService{Type: as[0], Name: as[1], Public: url, Internal: url, Admin: url})
			}
		}
	}
	return b
}

func (s *Stack) startPlacement() error {
	d, err := s.database("placement")
	if err != nil {
		return err
	}
	st, err := placementstore.New(s.ctx, d)
	if err != nil {
		return err
	}
	c, err := placementcontrol.New(placementcontrol.Config{Store: st, Log: s.Log, Now: s.Now, Options: s.Config.Placement.Options})
	if err != nil {
		return err
	}
	_, v, err := s.user(s.Config.Placement.AuthToken)
	if err != nil {
		return err
	}
	s.mount("placement", placementapi.New(c, placementapi.Options{Validator: v, Log: s.Log, Now: s.Now, AuthURL: s.authURL, Observe: s.metrics.observe}))
	s.run("placement", c.Run)
	return nil
}

func (s *Stack) startImage() error {
	d, err := s.database("image")
	if err != nil {
		return err
	}
	st, err := imagestore.New(s.ctx, d)
	if err != nil {
		return err
	}
	backends, err := s.imageBackends()
	if err != nil {
		return err
	}
	cache, err := s.imageFolder(FileOptions{Dir: s.Config.Image.CacheDir})
	if err != nil {
		return err
	}
	staging, err := s.imageFolder(s.Config.Image.Staging)
	if err != nil {
		return err
	}
	others, err := s.otherImages()
	if err != nil {
		return err
	}
	work := filepath.Join(s.Config.Data, "image-work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	own, v, err := s.user(s.Config.Image.AuthToken)
	if err != nil {
		return err
	}
	limits, err := s.imageLimits(own)
	if err != nil {
		return err
	}
	c, err := imagecontrol.New(imagecontrol.Config{Store: st, Limits: limits, Backends: backends, Cache: cache, Staging: staging, Others: others, Certificates: s.imageCertificates(), Run: host.Local{}, WorkDir: work, Options: s.Config.Image.Options, Place: s.place, Log: s.Log, Now: s.Now})
	if err != nil {
		return err
	}
	s.mount("image", imageapi.New(c, imageapi.Options{Validator: v, Log: s.Log, Now: s.Now, AuthURL: s.authURL, Observe: s.metrics.observe}))
	s.run("image", c.Run)
	return nil
}

func (s *Stack) startNetwork() error {
	d, err := s.database("network")
	if err != nil {
		return err
	}
	st, err := networkstore.New(s.ctx, d)
	if err != nil {
		return err
	}
	own, v, err := s.user(s.Config.Network.AuthToken)
	if err != nil {
		return err
	}
	compute, err := networkremote.NewCompute(s.peers, own)
	if err != nil {
		return err
	}
	placement, err := networkremote.NewPlacement(s.peers, own)
	if err != nil {
		return err
	}
	c, err := networkcontrol.New(networkcontrol.Config{Store: st, Bus: s.bus, Compute: compute, Placement: placement, Place: s.place, Options: s.Config.Network.Options, Log: s.Log, Now: s.Now})
	if err != nil {
		return err
	}
	s.mount("network", networkapi.New(c, networkapi.Options{Validator: v, Log: s.Log, Now: s.Now, AuthURL: s.authURL, Observe: s.metrics.observe}))
	s.run("network", c.Run)
	return nil
}

// computeControl makes compute's control, once for all roles that stand on it.
func (s *Stack) computeControl() (*computecontrol.Control, error) {
	if s.compute != nil {
		return s.compute, nil
	}
	d, err := s.database("compute")
	if err != nil {
		return nil, err
	}
	st, err := computestore.New(s.ctx, d)
	if err != nil {
		return nil, err
	}
	own, err := s.own(s.Config.AuthToken)
	if err != nil {
		return nil, err
	}
	clients := map[string]*peer.Client{}
	for _, service := range []string{"image", "network", "placement"} {
		if clients[service], err = s.peers.Client(service, own); err != nil {
			return nil, err
		}
	}
	images, networks := &computeremote.Images{Client: clients["image"]}, &computeremote.Networks{Client: clients["network"]}
	placement := computeremote.NewPlacement(clients["placement"])
	broker, err := s.broker()
	if err != nil {
		return nil, err
	}
	attestation, err := s.attestation()
	if err != nil {
		return nil, err
	}
	s.compute, err = computecontrol.New(computecontrol.Config{Store: st, Bus: s.bus, Attestation: attestation, Images: images, Catalog: images, Networks: networks, OldNetworks: networks, PortRequests: networks,
		Broker: broker, Placement: placement, DeviceProviders: placement,
		Options: s.Config.computeOptions(), ConsoleURLs: s.consoleURLs(), Host: s.Config.Host, Place: s.place, Log: s.Log, Now: s.Now})
	if err != nil {
		return nil, err
	}
	return s.compute, s.foreignServices(s.compute, own)
}

// attestation is who says how far hosts are trusted; nil: nobody.
func (s *Stack) attestation() (compute.Attestation, error) {
	o := s.Config.TrustedComputing
	if o.Server == "" {
		return nil, nil
	}
	return computeremote.NewAttestation(o, s.Now)
}

// broker is where compute's notifications go in place of the bus; nil: they go there.
func (s *Stack) broker() (computecontrol.Broker, error) {
	m, o := s.Config.Messaging, s.Config.Rabbit
	if m.TransportURL == "" || m.Driver == "" || m.Driver == "noop" {
		return nil, nil
	}
	rabbit, err := bus.NewRabbit(bus.RabbitConfig{URL: m.TransportURL, Exchange: s.Config.Default.ControlExchange, Durable: o.Durable, Bare: m.Driver == "messaging",
		TLS: o.SSL, CAFile: o.CAFile})
	if err != nil {
		return nil, fmt.Errorf("[oslo_messaging_notifications] transport_url: %w", err)
	}
	s.closers = append(s.closers, rabbit.Close)
	return rabbit, nil
}

// foreignServices gives compute those of its neighbours that only some clouds have.
func (s *Stack) foreignServices(c *computecontrol.Control, own peer.Tokens) error {
	for kind, use := range map[string]func(*peer.Client){
		volumeType: func(client *peer.Client) {
			volumes := &computeremote.Volumes{Client: client}
			c.Volumes, c.OldVolumes = volumes, volumes
		},
		shareType:     func(client *peer.Client) { c.FileShares = &computeremote.Shares{Client: client} },
		bareMetalType: func(client *peer.Client) { c.BareMetal = &computeremote.BareMetal{Client: client} },
	} {
		if s.Config.Peers[kind] == "" {
			continue
		}
		client, err := s.peers.Client(kind, own)
		if err != nil {
			return err
		}
		use(client)
	}
	return nil
}

func (s *Stack) startCompute() error {
	c, err := s.computeControl()
	if err != nil {
		return err
	}
	own, v, err := s.user(s.Config.AuthToken)
	if err != nil {
		return err
	}
	images, err := s.peers.Client("image", own)
	if err != nil {
		return err
	}
	s.mount("compute", computeapi.New(c, computeapi.Options{Validator: v, Log: s.Log, Now: s.Now, AuthURL: s.authURL, Observe: s.metrics.observe, MaxLimit: c.Options.MaxLimit,
		ImageURL: func(ctx context.Context) string {
			url, err := images.URL(ctx)
			if err != nil {
				s.Log.Warn("nobody knows where images are", "error", err)
			}
			return url
		}}))
	return nil
}

func (s *Stack) startConductor() error {
	c, err := s.computeControl()
	if err == nil {
		s.run("conductor", c.Run)
	}
	return err
}

func (s *Stack) startMetadata() error {
	c, err := s.computeControl()
	if err != nil {
		return err
	}
	o := s.Config.API
	vendor, own, err := s.vendor()
	if err != nil {
		return err
	}
	config := metadata.Config{Find: c.Instance, SetPassword: c.PostPassword, ForwardedFor: o.ForwardedFor, Vendor: vendor, Expiration: o.CacheExpiration.D(),
		Secret: s.Config.Secrets.MetadataSecret, Log: s.Log, Now: s.Now}
	if !s.Config.Neutron.MetadataProxy {
		network, err := s.peers.Client("network", own)
		if err != nil {
			return err
		}
		config.ServerAt = (&computeremote.Networks{Client: network}).ServerAt
	}
	h, err := metadata.NewHandler(config)
	if err != nil {
		return err
	}
	s.handlers["metadata"] = h
	return nil
}

// consoleURLs are where clients find the viewers of consoles.
func (s *Stack) consoleURLs() computecontrol.ConsoleURLs {
	base := s.front.public + prefixes["console"]
	if elsewhere := s.Config.Peers["console"]; elsewhere != "" && !s.has(Console) {
		base = strings.TrimSuffix(elsewhere, "/")
	}
	urls := computecontrol.ConsoleURLs{"novnc": base + "/vnc_auto.html", "spice-html5": base + "/spice_auto.html", "serial": "ws" + strings.TrimPrefix(base, "http") + "/",
		"webmks": base + "/mks.html"}
	for kind, url := range map[string]string{"novnc": s.Config.VNC.BaseURL, "spice-html5": s.Config.SPICE.BaseURL, "spice-direct": s.Config.SPICE.DirectURL,
		"serial": s.Config.Serial.BaseURL} {
		if url != "" {
			urls[kind] = url
		}
	}
	return urls
}

func (s *Stack) startConsole() error {
	c, err := s.computeControl()
	if err != nil {
		return err
	}
	s.handlers["console"] = console.New(console.Config{Open: c.OpenConsole, Origins: s.Config.Consoles.Origins, Web: s.Config.VNC.Web, Log: s.Log})
	return nil
}

// vendor gives operators' data to guests; own are the tokens that it shows.
func (s *Stack) vendor() (*metadata.Vendor, peer.Tokens, error) {
	own, err := s.own(s.Config.AuthToken)
	if err != nil {
		return nil, nil, err
	}
	v, err := metadata.NewVendor(s.Config.API, func(ctx context.Context) (string, error) { return own.Token(ctx, "") }, s.Log)
	return v, own, err
}

// agentHosts are the hosts that this process is an agent of: its own, or with
// the fake drivers as many as were asked for.
func (s *Stack) agentHosts() []string {
	if s.Config.Default.ComputeDriver != "fake" || s.Config.Fake.Hosts <= 1 {
		return []string{s.Config.Host}
	}
	var hosts []string
	for i := range s.Config.Fake.Hosts {
		hosts = append(hosts, fmt.Sprintf("%s-%d", s.Config.Host, i+1))
	}
	return hosts
}

func (s *Stack) startNetworkAgents() error {
	make, err := driver("dataplane", s.Config.Network.Dataplane, dataplanes)
	if err != nil {
		return err
	}
	wires, err := s.Config.LinuxBridge.wires()
	if err != nil {
		return err
	}
	target := s.peers["metadata"]
	for _, host := range s.agentHosts() {
		d, err := make(&s.Config, s.Log)
		if err != nil {
			return err
		}
		a := networkagent.New(networkagent.Config{Host: host, Driver: d, Bus: s.bus, Wires: wires, Log: s.Log, Now: s.Now,
			Metadata: networkagent.MetadataBackend{URL: target.URL, Transport: target.Transport, Secret: s.Config.Secrets.MetadataSecret}})
		s.run("network-agent "+host, a.Run)
	}
	return nil
}

func (s *Stack) startComputeAgents() error {
	make, err := driver("compute_driver", s.Config.Default.ComputeDriver, hypervisors)
	if err != nil {
		return err
	}
	own, err := s.own(s.Config.AuthToken)
	if err != nil {
		return err
	}
	vendor, _, err := s.vendor()
	if err != nil {
		return err
	}
	if format := s.Config.Default.DriveFormat; format != "" && format != metadata.ISO9660 && format != metadata.VFAT {
		return fmt.Errorf("configuration: [DEFAULT] config_drive_format is %q; there are %s and %s", format, metadata.ISO9660, metadata.VFAT)
	}
	images, err := s.peers.Client("image", own)
	if err != nil {
		return err
	}
	o := s.Config.ImageCache
	cache := &computeagent.ImageCache{Dir: filepath.Join(s.Config.Default.InstancesPath, "_base"), Images: &computeremote.Images{Client: images},
		ForceRaw: o.ForceRaw, Instances: s.Config.Default.InstancesPath, Now: s.Now, Log: s.Log}
	if o.RemoveUnused && o.Interval > 0 {
		s.run("image cache", func(ctx context.Context) error {
			return cache.Tidy(ctx, o.Interval.D(), time.Duration(o.MinimumAge)*time.Second)
		})
	}
	for _, host := range s.agentHosts() {
		d, err := make(s.ctx, &s.Config, host, s.Log, s.Now)
		if err != nil {
			return err
		}
		a := computeagent.New(computeagent.Config{Host: host, Driver: d, Bus: s.bus, Images: cache, ReportInterval: s.Config.Default.ReportInterval.D(),
			Scratch: filepath.Join(s.Config.Default.InstancesPath, "snapshots", host), VIFTimeout: s.Config.Default.VIFTimeout.D(), Drive: computeagent.Drive{Format: s.Config.Default.DriveFormat, Domain: s.Config.API.Domain, Vendor: vendor}, Log: s.Log, Now: s.Now})
		s.run("compute-agent "+host, a.Run)
	}
	return nil
}
