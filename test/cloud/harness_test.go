package cloud

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"kilonova/internal/config"
	"kilonova/internal/peer"
	"kilonova/stack"
)

// cloud is a running cloud and those who use it.
type cloud struct {
	stacks []*stack.Stack
	config stack.Config
	url    string
	admin  *user
	demo   *user
}

// user is somebody who is logged in.
type user struct {
	provider                                     *gophercloud.ProviderClient
	compute, network, image, identity, placement *gophercloud.ServiceClient
	project                                      string
}

// forms are the two ways in which every test runs, with a word on the configuration.
var forms = map[string]func(*testing.T, func(*stack.Config)) *cloud{"one": oneWith, "split": splitWith}

func asItIs(*stack.Config) {}

// each runs a test on both forms.
func each(t *testing.T, test func(t *testing.T, c *cloud)) { eachWith(t, asItIs, test) }

// eachWith is each with a word on the configuration.
func eachWith(t *testing.T, change func(*stack.Config), test func(t *testing.T, c *cloud)) {
	for name, start := range forms {
		t.Run(name, func(t *testing.T) { test(t, start(t, change)) })
	}
}

func testLog() *slog.Logger {
	out := io.Writer(io.Discard)
	if testing.Verbose() && os.Getenv("KILONOVA_TEST_LOG") != "" {
		out = os.Stderr
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func base(t *testing.T) stack.Config {
	c := stack.Dev(t.TempDir(), "127.0.0.1:0", 2)
	c.Secrets = stack.Secrets{AdminPassword: "admin-pw", DemoPassword: "demo-pw", NovaPassword: "a", NeutronPass: "b", GlancePass: "c", PlacementPass: "d", SwiftPass: "g",
		MetadataSecret: "e", BusToken: "f"}
	c.Default.ReportInterval = config.Duration(500 * time.Millisecond)
	return c
}

func one(t *testing.T) *cloud {
	t.Helper()
	return oneWith(t, asItIs)
}

// oneWith is one with a word on the configuration.
func oneWith(t *testing.T, change func(*stack.Config)) *cloud {
	t.Helper()
	c := base(t)
	change(&c)
	st, err := stack.Start(t.Context(), c, testLog(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return ready(t, c, st.URL(), st)
}

// splitWith starts four stacks, each with its own folder and listener, with a word on
// the configuration of each.
func splitWith(t *testing.T, change func(*stack.Config)) *cloud {
	t.Helper()
	parts := []struct {
		roles    string
		services []string
	}{
		{"identity,placement", []string{"identity", "placement"}},
		{"image,network,object-store", []string{"image", "network", "object-store"}},
		{"compute,conductor,metadata,console", []string{"compute", "metadata", "console"}},
		{"network-agent,compute-agent", nil},
	}
	peers, addresses := map[string]string{}, freeAddresses(t, len(parts))
	for i, p := range parts {
		for _, s := range p.services {
			peers[s] = "http://" + addresses[i] + "/" + s
		}
	}
	var stacks []*stack.Stack
	busURL := ""
	var first stack.Config
	for i, p := range parts {
		c := base(t)
		c.Roles, c.Listen.Address, c.Peers = p.roles, addresses[i], peers
		change(&c)
		if i == 0 {
			c.Bus.Listen, first = "127.0.0.1:0", c
		} else {
			c.Bus.URL = busURL
		}
		st, err := stack.Start(t.Context(), c, testLog(), time.Now)
		if err != nil {
			t.Fatalf("%s: %v", p.roles, err)
		}
		stacks = append(stacks, st)
		t.Cleanup(st.Close)
		if i == 0 {
			busURL = st.BusURL()
		}
	}
	return ready(t, first, stacks[0].URL(), stacks...)
}

// freeAddresses finds n ports that nobody listens on, each another one, below those
// that the kernel gives to connections: one of these could take it before we listen.
func freeAddresses(t *testing.T, n int) (found []string) {
	t.Helper()
	for range 100 * n {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err != nil {
			continue
		}
		defer l.Close() // not before all are found
		if found = append(found, l.Addr().String()); len(found) == n {
			return found
		}
	}
	t.Fatalf("of a hundred ports a time only %d of %d were free", len(found), n)
	return nil
}

// ready fills the cloud, logs in and waits until there is a host to build on.
func ready(t *testing.T, c stack.Config, url string, stacks ...*stack.Stack) *cloud {
	t.Helper()
	for _, st := range stacks {
		t.Cleanup(st.Close)
	}
	roots := map[string]string{}
	for service, u := range c.Peers {
		roots[service] = u
	}
	seeder, err := stack.NewSeederAt(url, roots, c.Secrets.AdminPassword, stack.Seed{DemoPassword: c.Secrets.DemoPassword, ImageName: "cirros",
		PublicCIDR: "172.24.4.0/24", PrivateCIDR: "10.0.0.0/24"}, peer.Network(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := seeder.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	out := &cloud{stacks: stacks, config: c, url: url}
	out.admin = out.login(t, "admin", c.Secrets.AdminPassword, "admin")
	out.demo = out.login(t, "demo", c.Secrets.DemoPassword, "demo")
	return out
}

func (c *cloud) login(t *testing.T, name, password, project string) *user {
	t.Helper()
	u, err := c.tryLogin(t.Context(), name, password, project)
	if err != nil {
		t.Fatalf("log in as %s: %v", name, err)
	}
	return u
}

func (c *cloud) tryLogin(ctx context.Context, name, password, project string) (*user, error) {
	auth := gophercloud.AuthOptions{IdentityEndpoint: c.url + "/identity/v3", Username: name, Password: password, TenantName: project, DomainName: "Default", AllowReauth: true}
	provider, err := openstack.AuthenticatedClient(ctx, auth)
	if err != nil {
		return nil, err
	}
	u := &user{provider: provider}
	region := gophercloud.EndpointOpts{Region: "RegionOne"}
	for _, s := range []struct {
		into **gophercloud.ServiceClient
		make func(*gophercloud.ProviderClient, gophercloud.EndpointOpts) (*gophercloud.ServiceClient, error)
	}{{&u.compute, openstack.NewComputeV2}, {&u.network, openstack.NewNetworkV2}, {&u.image, openstack.NewImageV2}, {&u.identity, openstack.NewIdentityV3},
		{&u.placement, openstack.NewPlacementV1}} {
		if *s.into, err = s.make(provider, region); err != nil {
			return nil, err
		}
	}
	u.compute.Microversion, u.placement.Microversion = "2.90", "1.38"
	return u, nil
}

// eventually waits until check returns "", and fails with its last word.
func eventually(t *testing.T, what string, check func() string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s", what, why)
		}
		<-tick.C
	}
}
