package stack

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kilonova/internal/config"
	"kilonova/internal/peer"
	computecontrol "kilonova/service/compute/control"
	"kilonova/service/compute/metadata"
	computeremote "kilonova/service/compute/remote"
	"kilonova/service/compute/schedule"
	identitycontrol "kilonova/service/identity/control"
	imagecontrol "kilonova/service/image/control"
	networkcontrol "kilonova/service/network/control"
	placementcontrol "kilonova/service/placement/control"
)

// Config is the whole configuration. Sections and options have upstream's names
// where upstream has one: compute's sections stand at the top, those of the
// other services below the service's name ([identity.token], [network.quotas]).
type Config struct {
	Host   string `toml:"host"`   // this host's name in the cloud; "" the system's
	MyIP   string `toml:"my_ip"`  // this host's address, told to operators
	Region string `toml:"region"` // name of the region
	Data   string `toml:"data"`   // folder of everything that lasts
	Roles  string `toml:"roles"`  // "all", or a list with commas

	Listen   Listen     `toml:"listen"`
	Bus      BusOptions `toml:"bus"`
	Database Database   `toml:"database"`
	// Peers are services elsewhere: service type -> URL, or "catalog" for where the
	// identity service says. With an identity service elsewhere that is also for what
	// is not named, but volumes, which not every cloud has.
	Peers     map[string]string `toml:"peers"`
	Secrets   Secrets           `toml:"secrets"`
	Log       LogOptions        `toml:"log"`
	Bootstrap BootstrapOptions  `toml:"bootstrap"`

	OsloPolicy      ComputePolicyOptions      `toml:"oslo_policy"`
	Default         ComputeDefaults           `toml:"DEFAULT"`
	AuthToken       AuthToken                 `toml:"keystone_authtoken"` // compute's
	Quota           computecontrol.Quota      `toml:"quota"`
	Scheduler       schedule.SchedulerOptions `toml:"scheduler"`
	FilterScheduler schedule.FilterOptions    `toml:"filter_scheduler"`
	Metrics         schedule.MetricsOptions   `toml:"metrics"`
	Compute         ComputeOptions            `toml:"compute"`
	PCI             PCIOptions                `toml:"pci"`
	Libvirt         LibvirtOptions            `toml:"libvirt"`
	API             metadata.Options          `toml:"api"`
	Neutron         NeutronOptions            `toml:"neutron"`
	Manila          ManilaOptions             `toml:"manila"`
	Cinder          VolumeOptions             `toml:"cinder"`

	// TrustedComputing is where TrustedFilter asks how far hosts are trusted.
	TrustedComputing computeremote.AttestationOptions `toml:"trusted_computing"`

	// Notifications says what other programs are told, Messaging whether at all.
	Notifications computecontrol.NotifyOptions    `toml:"notifications"`
	Messaging     computecontrol.MessagingOptions `toml:"oslo_messaging_notifications"`
	Rabbit        RabbitOptions                   `toml:"oslo_messaging_rabbit"`
	ImageCache    ImageCacheOptions               `toml:"image_cache"`
	VNC           VNC                             `toml:"vnc"`
	SPICE         SPICE                           `toml:"spice"`
	Serial        SerialConsole                   `toml:"serial_console"`
	Consoles      ConsoleOptions                  `toml:"console"`
	ConsoleAuth   ConsoleAuth                     `toml:"consoleauth"`
	LinuxBridge   LinuxBridge                     `toml:"linux_bridge"`

	Identity  IdentityOptions  `toml:"identity"`
	Image     ImageOptions     `toml:"image"`
	Placement PlacementOptions `toml:"placement"`
	Network   NetworkOptions   `toml:"network"`
	Object    ObjectOptions    `toml:"object"`

	// Fake steers the fake drivers, for laptops, CI jobs and tests.
	Fake FakeOptions `toml:"fake"`
}

// Listen says where the APIs are served.
type Listen struct {
	Address string `toml:"address"` // host:port of the one listener, with a prefix per service
	// Public is the URL under which clients reach Address; "" from Address.
	Public string `toml:"public_url"`
	// Classic also serves each service on upstream's port of Address's host.
	Classic  bool   `toml:"classic_ports"`
	CertFile string `toml:"cert_file"` // with KeyFile: HTTPS
	KeyFile  string `toml:"key_file"`
	// ClientCAFile has the authorities whose certificates clients may show, for
	// tokens that are bound to one; "" nobody's.
	ClientCAFile string `toml:"client_ca_file"`
}

// BusOptions say how the parts of a service reach each other.
type BusOptions struct {
	URL    string `toml:"url"`    // of NATS servers elsewhere; "" the embedded one
	Listen string `toml:"listen"` // where the embedded one listens for other processes; "" nowhere
}

// Database says where the services keep their state.
type Database struct {
	// Connection is a URL in which %s stands for the service's name; "" is SQLite
	// below Data.
	Connection string `toml:"connection"`
	// Synchronous is SQLite's: "normal" outlives every process, "full" also a
	// power failure, "off" neither.
	Synchronous string `toml:"synchronous"`
}

// LogOptions say what is logged, and where.
type LogOptions struct {
	Debug bool   `toml:"debug"`
	File  string `toml:"file"` // "" standard error
}

// BootstrapOptions are about the first start of the identity service.
type BootstrapOptions struct {
	AdminName string `toml:"username"`
}

// AuthToken is the user that a service logs in as, by whose token it has its callers'
// tokens checked: "" is upstream's name of the service, the password of [secrets],
// the project service and the domain Default.
type AuthToken = peer.Credentials

// ComputeDefaults are options of nova.conf's [DEFAULT].
type ComputeDefaults struct {
	computecontrol.Options
	ComputeDriver string `toml:"compute_driver"` // a name of the table in drivers.go
	// SchedulerDriver is the old place of [scheduler] driver; it counts where it is set.
	SchedulerDriver string `toml:"scheduler_driver"`
	// ControlExchange is the exchange of notifications at a RabbitMQ.
	ControlExchange string `toml:"control_exchange"`
	// VIFTimeout is how long a guest waits for its ports to be wired, 0 not at all.
	VIFTimeout    config.Duration `toml:"vif_plugging_timeout"`
	InstancesPath string          `toml:"instances_path"` // "" below Data
	// DriveFormat is that of config drives: "iso9660" or "vfat".
	DriveFormat string `toml:"config_drive_format"`
	// EphemeralFormat is the file system of ephemeral disks; "" by the driver.
	EphemeralFormat string `toml:"default_ephemeral_format"`
}

// NeutronOptions are those of nova.conf's [neutron] that are about guests.
type NeutronOptions struct {
	// MetadataProxy: guests' requests come through the network service's proxy, which
	// vouches for them. Without it they are known by their addresses.
	MetadataProxy bool `toml:"service_metadata_proxy"`
}

// RabbitOptions are about the broker that notifications go to.
type RabbitOptions struct {
	Durable bool   `toml:"amqp_durable_queues"`
	SSL     bool   `toml:"ssl"`
	CAFile  string `toml:"ssl_ca_file"`
}

// ManilaOptions are about the share service.
type ManilaOptions struct {
	// PolicyTimeout is for how many seconds a share's access rule may take to hold.
	PolicyTimeout int `toml:"share_apply_policy_timeout"`
}

// VolumeOptions are about the volumes of servers.
type VolumeOptions struct {
	// CrossAZAttach lets servers have volumes of other availability zones.
	CrossAZAttach bool `toml:"cross_az_attach"`
}

// ImageCacheOptions are about the copies of images on hypervisor hosts.
type ImageCacheOptions struct {
	ForceRaw     bool            `toml:"force_raw_images"` // upstream has it in [DEFAULT]
	RemoveUnused bool            `toml:"remove_unused_base_images"`
	MinimumAge   int             `toml:"remove_unused_original_minimum_age_seconds"`
	Interval     config.Duration `toml:"manager_interval"`
}

// ComputeOptions are those of hosts' processors: which ones guests share, which are
// given away whole, and where control has guests' NUMA nodes be.
type ComputeOptions struct {
	SharedSet    string `toml:"cpu_shared_set"`
	DedicatedSet string `toml:"cpu_dedicated_set"`
	PackCells    bool   `toml:"packing_host_numa_cells_allocation_strategy"`
}

// PCIOptions is section [pci]: names for kinds of devices, for who decides, and
// which devices of a host guests may have, for its agent.
type PCIOptions struct {
	computecontrol.PCIOptions
	DeviceSpec []string `toml:"device_spec"`
	// Whitelist is what DeviceSpec was called of old, and counts with it.
	Whitelist []string `toml:"passthrough_whitelist"`
	// ReportInPlacement has a host's devices told to Placement. Once it is so it stays
	// so, as upstream has it.
	ReportInPlacement bool `toml:"report_in_placement"`
}

// deviceSpec is which devices of a host guests may have, by whatever name.
func (o PCIOptions) deviceSpec() []string { return slices.Concat(o.DeviceSpec, o.Whitelist) }

// VNC is where guests' screens are served.
type VNC struct {
	ServerListen string `toml:"server_listen"`
	// BaseURL is where browsers find the viewer; "" here.
	BaseURL string `toml:"novncproxy_base_url"`
	// Web is a folder with noVNC's files; "" a small viewer of our own.
	Web string `toml:"web"`
}

// SPICE is the like for that protocol.
type SPICE struct {
	BaseURL   string `toml:"html5proxy_base_url"`
	DirectURL string `toml:"spice_direct_proxy_base_url"` // "" there is none
}

// SerialConsole is about serial ports that can be connected to.
type SerialConsole struct {
	BaseURL string `toml:"base_url"` // "" here
}

// ConsoleOptions are about all consoles.
type ConsoleOptions struct {
	// Origins are hosts whose pages may connect besides those of the proxy's own.
	Origins []string `toml:"allowed_origins"`
}

// ConsoleAuth is about the keys to consoles.
type ConsoleAuth struct {
	TTL int `toml:"token_ttl"` // seconds
}

// IdentityOptions are the identity service's.
type IdentityOptions struct {
	identitycontrol.Options
	OsloPolicy PolicyOptions `toml:"oslo_policy"`
}

// PlacementOptions are Placement's.
type PlacementOptions struct {
	placementcontrol.Options
	OsloPolicy PolicyOptions `toml:"oslo_policy"`
	AuthToken  AuthToken     `toml:"keystone_authtoken"`
}

// ImageOptions are the image service's.
type ImageOptions struct {
	imagecontrol.Options
	OsloPolicy PolicyOptions `toml:"oslo_policy"`
	AuthToken  AuthToken     `toml:"keystone_authtoken"`
	DataDir    string        `toml:"filesystem_store_datadir"` // of a file store that has none of its own; "" below Data
	CacheDir   string        `toml:"image_cache_dir"`          // of this node's copies of what lies far away; "" none
	// EnabledBackends are the stores, "name:kind" with a kind of the table in
	// drivers.go; none: one that is named after its kind, file.
	EnabledBackends []string `toml:"enabled_backends"`
	// Staging is a folder for what waits for its import, shared by all nodes of the
	// image service; "" the default store. It has upstream's name of the section.
	Staging     FileOptions                  `toml:"os_glance_staging_store"`
	GlanceStore GlanceStore                  `toml:"glance_store"`
	Stores      map[string]ImageStoreOptions `toml:"stores"` // by name
}

// GlanceStore is what is said of the image stores together.
type GlanceStore struct {
	DefaultBackend string `toml:"default_backend"` // "" the first
}

// NetworkOptions are the network service's.
type NetworkOptions struct {
	networkcontrol.Options
	OsloPolicy PolicyOptions `toml:"oslo_policy"`
	AuthToken  AuthToken     `toml:"keystone_authtoken"`
	Dataplane  string        `toml:"dataplane"` // a name of the table in drivers.go
}

// LinuxBridge are the options of that dataplane.
type LinuxBridge struct {
	// Physical names what is behind a physical network.
	Physical map[string]PhysicalNetwork `toml:"physical_networks"`
	DNS      []string                   `toml:"dnsmasq_dns_servers"`
	Lease    config.Duration            `toml:"dhcp_lease_duration"`
	// What QoS rules may promise on this host, in upstream's forms:
	// PHYSICAL:EGRESS:INGRESS in kilobits a second, and thousands of packets a second
	// of both directions together (":N") or of each (":EGRESS:INGRESS").
	Bandwidths   []string `toml:"resource_provider_bandwidths"`
	Packets      []string `toml:"resource_provider_packet_processing_without_direction"`
	PacketsByWay []string `toml:"resource_provider_packet_processing_with_direction"`
	// Hypervisor is the name of the host's provider in Placement, where compute is
	// upstream's and names it otherwise than the host.
	Hypervisor string `toml:"resource_provider_default_hypervisor"`
}

// PhysicalNetwork is a bridge of this host that leads outside.
type PhysicalNetwork struct {
	Bridge     string   `toml:"bridge"`
	Interface  string   `toml:"interface"` // of the host, put into the bridge; "" none
	Addresses  []string `toml:"addresses"` // of the host on the bridge, with lengths
	Masquerade bool     `toml:"masquerade"`
}

// FakeOptions steer the fake drivers.
type FakeOptions struct {
	Hosts int             `toml:"hosts"` // agents in this process
	Delay config.Duration `toml:"delay"` // of each step of a guest
	// LiveDelay is how long a guest takes to another host while it runs.
	LiveDelay config.Duration `toml:"live_delay"`
	// Delays are those of single verbs of the driver: snapshot = "2s".
	Delays map[string]config.Duration `toml:"delays"`
	// NUMANodes spreads a host's processors and memory over nodes, each with so
	// many pages of 2 MiB; [compute] cpu_dedicated_set counts here too. PCIDevices
	// are so many virtual functions 8086:1520, PCIFunctions (8) of each physical one
	// 8086:1521, and PCICards cards 10de:1db4 without any. Guests may have those that
	// [pci] device_spec names; all but the physical functions if it names none.
	NUMANodes    int `toml:"numa_nodes"`
	HugePages    int `toml:"huge_pages"`
	PCIDevices   int `toml:"pci_devices"`
	PCIFunctions int `toml:"pci_functions"`
	PCICards     int `toml:"pci_cards"`
	// Faults are what fails, for those who test how their programs take it.
	Faults []FakeFault `toml:"faults"`
}

// FakeFault is something that fails on a fake host.
type FakeFault struct {
	Host    string `toml:"host"`    // "" all
	Verb    string `toml:"verb"`    // of the driver: create, destroy, power, ...
	Message string `toml:"message"` // what the hypervisor says
	Times   int    `toml:"times"`   // 0 always
}

// Defaults is the configuration of one host that is the whole cloud.
func Defaults() Config {
	compute := computecontrol.Defaults()
	compute.Quota, compute.Scheduler = computecontrol.Quota{}, schedule.Options{}
	d := schedule.Defaults()
	return Config{Region: "RegionOne", Data: "/var/lib/kilonova", Roles: "all", MyIP: "127.0.0.1",
		Listen:     Listen{Address: "127.0.0.1:8780"},
		Bootstrap:  BootstrapOptions{AdminName: "admin"},
		OsloPolicy: ComputePolicyOptions{EnforceScope: true}, Default: ComputeDefaults{Options: compute, ComputeDriver: "libvirt", ControlExchange: "nova", VIFTimeout: config.Duration(5 * time.Minute)},
		Quota: computecontrol.Defaults().Quota, Scheduler: d.Scheduler, FilterScheduler: d.Filter, Metrics: d.Metrics,
		ImageCache: ImageCacheOptions{RemoveUnused: true, MinimumAge: 86400, Interval: config.Duration(40 * time.Minute)},
		API:        metadata.DefaultOptions(), Neutron: NeutronOptions{MetadataProxy: true}, Manila: ManilaOptions{PolicyTimeout: 10}, Cinder: VolumeOptions{CrossAZAttach: true}, TrustedComputing: computeremote.DefaultAttestation(),
		VNC: VNC{ServerListen: "127.0.0.1"}, ConsoleAuth: ConsoleAuth{TTL: 600}, Identity: IdentityOptions{Options: identitycontrol.Defaults()}, Image: ImageOptions{Options: imagecontrol.Defaults()},
		Placement: PlacementOptions{Options: placementcontrol.Defaults()}, Network: NetworkOptions{Options: networkcontrol.Defaults(), Dataplane: "linuxbridge"},
		Object: defaultObject(),
		Fake:   FakeOptions{Hosts: 1}}
}

// Load reads a configuration file over the defaults.
func Load(path string) (Config, error) {
	c := Defaults()
	if path == "" {
		return c, nil
	}
	return c, config.Load(path, &c)
}

// LoadOver reads a configuration file over a configuration.
func LoadOver(path string, c *Config) error { return config.Load(path, c) }

// settle fills what depends on the host and on other options.
func (c *Config) settle() error {
	if c.Host == "" {
		name, err := os.Hostname()
		if err != nil {
			return err
		}
		c.Host = name
	}
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	if (c.Listen.CertFile == "") != (c.Listen.KeyFile == "") {
		return errors.New("configuration: [listen] needs both cert_file and key_file for HTTPS, or neither")
	}
	for _, dir := range []struct {
		option *string
		name   string
	}{{&c.Default.InstancesPath, "instances"}, {&c.Image.DataDir, "images"}} {
		if *dir.option == "" {
			*dir.option = filepath.Join(c.Data, dir.name)
		}
	}
	if err := c.Secrets.fill(filepath.Join(c.Data, "secrets.toml")); err != nil {
		return err
	}
	for _, u := range []struct {
		login          *AuthToken
		name, password string
	}{{&c.AuthToken, "nova", c.Secrets.NovaPassword}, {&c.Network.AuthToken, "neutron", c.Secrets.NeutronPass},
		{&c.Image.AuthToken, "glance", c.Secrets.GlancePass}, {&c.Placement.AuthToken, "placement", c.Secrets.PlacementPass},
		{&c.Object.AuthToken, "swift", c.Secrets.SwiftPass}} {
		l := u.login
		l.Username, l.Password, l.Project = cmp.Or(l.Username, u.name), cmp.Or(l.Password, u.password), cmp.Or(l.Project, "service")
		l.UserDomain, l.ProjectDomain = cmp.Or(l.UserDomain, "Default"), cmp.Or(l.ProjectDomain, "Default")
	}
	return nil
}

// databaseURL is where a service keeps its state.
func (c *Config) databaseURL(service string) string {
	if c.Database.Connection != "" {
		return strings.ReplaceAll(c.Database.Connection, "%s", service)
	}
	url := "sqlite://" + filepath.Join(c.Data, "db", service+".db")
	if c.Database.Synchronous != "" {
		url += "?synchronous=" + c.Database.Synchronous
	}
	return url
}

func (c *Config) computeOptions() computecontrol.Options {
	o := c.Default.Options
	o.Quota, o.MetadataDomain = c.Quota, c.API.Domain
	o.Notify, o.Messaging = c.Notifications, c.Messaging
	o.PCI, o.PackNUMACells = c.PCI.PCIOptions, c.Compute.PackCells
	o.Scheduler = schedule.Options{Scheduler: c.Scheduler, Filter: c.FilterScheduler, Metrics: c.Metrics}
	if old := c.Default.SchedulerDriver; old != "" {
		o.Scheduler.Scheduler.Driver = old
	}
	o.MaxAttempts = c.Scheduler.MaxAttempts
	o.ShareTimeout, o.VolumesInZone = c.Manila.PolicyTimeout, !c.Cinder.CrossAZAttach
	o.ConsoleTTL = c.ConsoleAuth.TTL
	return o
}

// Logger opens the log that the configuration asks for.
func (c *Config) Logger() (*slog.Logger, error) {
	out := os.Stderr
	if c.Log.File != "" {
		f, err := os.OpenFile(c.Log.File, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
		if err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		out = f
	}
	level := slog.LevelInfo
	if c.Log.Debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level})), nil
}
