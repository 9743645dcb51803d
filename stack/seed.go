package stack

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/image"
)

// Seed says what a new cloud is filled with. It is done through the public APIs,
// as any operator would, and only adds what is not there.
type Seed struct {
	DemoPassword string
	ImageFile    string // qcow2, registered as ImageName; "" a few bytes that only the fake driver boots
	ImageName    string
	PublicCIDR   string // of the network public; its first address is the host's
	PrivateCIDR  string
	DNS          []string
	KeyFile      string // private key of the demo user's keypair "demo"; made if it is not there
	Progress     func(format string, args ...any)
}

// Seeder fills a cloud. It speaks with it as the administrator and as demo.
type Seeder struct {
	Seed
	identity, image, network, compute *peer.Client // as admin
	demo                              *peer.Client // compute as demo
	demoNet                           *peer.Client // network as demo
	demoProject                       string
}

type object = map[string]any

// NewSeeder reaches the cloud at root, the URL of its listener.
func NewSeeder(root, adminPassword string, s Seed, transport http.RoundTripper) (*Seeder, error) {
	return NewSeederAt(root, nil, adminPassword, s, transport)
}

// NewSeederAt is NewSeeder for a cloud whose services have roots of their own.
func NewSeederAt(root string, roots map[string]string, adminPassword string, s Seed, transport http.RoundTripper) (*Seeder, error) {
	table := peer.Table{}
	for service, prefix := range prefixes {
		url := roots[service]
		if url == "" {
			url = strings.TrimSuffix(root, "/") + prefix
		}
		table[service] = peer.Target{URL: url, Transport: transport}
	}
	if s.Progress == nil {
		s.Progress = func(string, ...any) {}
	}
	seeder := &Seeder{Seed: s}
	admin, err := peer.NewPasswordTokens(table, peer.Credentials{Username: "admin", Password: adminPassword, UserDomain: "Default", Project: "admin", ProjectDomain: "Default"}, time.Now)
	if err != nil {
		return nil, err
	}
	demo, err := peer.NewPasswordTokens(table, peer.Credentials{Username: "demo", Password: s.DemoPassword, UserDomain: "Default", Project: "demo", ProjectDomain: "Default"}, time.Now)
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		client  **peer.Client
		service string
		tokens  peer.Tokens
	}{{&seeder.identity, "identity", admin}, {&seeder.image, "image", admin}, {&seeder.network, "network", admin}, {&seeder.compute, "compute", admin},
		{&seeder.demo, "compute", demo}, {&seeder.demoNet, "network", demo}} {
		if *c.client, err = table.Client(c.service, c.tokens); err != nil {
			return nil, err
		}
	}
	return seeder, nil
}

// Fill adds what is missing: the demo user and project, flavors, an image, a
// public and a private network with a router, open ssh and ping, a keypair.
func (s *Seeder) Fill(ctx context.Context) error {
	for _, step := range []struct {
		what string
		do   func(context.Context) error
	}{{"demo user and project", s.people}, {"flavors", s.flavors}, {"image " + s.ImageName, s.images}, {"networks", s.networks},
		{"security group rules", s.rules}, {"keypair", s.keypair}} {
		s.Progress("  %s", step.what)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("fill: %s: %w", step.what, err)
		}
	}
	return nil
}

// find returns the id of the first element of a list that matches, "" if none.
func find(ctx context.Context, c *peer.Client, path, list string) (string, error) {
	var out map[string]any
	if err := c.Do(ctx, peer.Call{Method: "GET", Path: path, Out: &out}); err != nil {
		return "", err
	}
	elements, _ := out[list].([]any)
	if len(elements) == 0 {
		return "", nil
	}
	first, _ := elements[0].(object)
	id, _ := first["id"].(string)
	return id, nil
}

// ensure returns the id of what path finds, making it if there is none.
func ensure(ctx context.Context, c *peer.Client, query, list, create, one string, body object) (string, error) {
	id, err := find(ctx, c, query, list)
	if err != nil || id != "" {
		return id, err
	}
	var out map[string]object
	if err := c.Do(ctx, peer.Call{Method: "POST", Path: create, In: object{one: body}, Out: &out}); err != nil {
		return "", err
	}
	id, _ = out[one]["id"].(string)
	return id, nil
}

func (s *Seeder) people(ctx context.Context) error {
	project, err := ensure(ctx, s.identity, "/v3/projects?name=demo&domain_id=default", "projects", "/v3/projects", "project", object{"name": "demo", "domain_id": "default"})
	if err != nil {
		return err
	}
	s.demoProject = project
	user, err := ensure(ctx, s.identity, "/v3/users?name=demo&domain_id=default", "users", "/v3/users", "user",
		object{"name": "demo", "domain_id": "default", "password": s.DemoPassword, "default_project_id": project})
	if err != nil {
		return err
	}
	for _, name := range []string{"member", "swiftoperator"} {
		role, err := find(ctx, s.identity, "/v3/roles?name="+name, "roles")
		if err != nil {
			return err
		}
		if role == "" { // of a cloud without an object store
			continue
		}
		if err := s.identity.Do(ctx, peer.Call{Method: "PUT", Path: "/v3/projects/" + project + "/users/" + user + "/roles/" + role}); err != nil {
			return err
		}
	}
	return nil
}

func (s *Seeder) flavors(ctx context.Context) error {
	for i, f := range []struct {
		name             string
		vcpus, ram, disk int
	}{{"m1.nano", 1, 128, 1}, {"m1.micro", 1, 192, 1}, {"m1.tiny", 1, 512, 1}, {"m1.small", 1, 2048, 20}, {"m1.medium", 2, 4096, 40},
		{"m1.large", 4, 8192, 80}, {"m1.xlarge", 8, 16384, 160}} {
		body := object{"flavor": object{"id": fmt.Sprint(i + 1), "name": f.name, "vcpus": f.vcpus, "ram": f.ram, "disk": f.disk}}
		err := s.compute.Do(ctx, peer.Call{Method: "POST", Path: "/v2.1/flavors", In: body})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

func (s *Seeder) images(ctx context.Context) error {
	id, err := find(ctx, s.image, "/v2/images?name="+s.ImageName+"&status=active", "images")
	if err != nil || id != "" {
		return err
	}
	if err := s.imageLimits(ctx); err != nil {
		return err
	}
	data, format := io.Reader(bytes.NewReader(make([]byte, 65536))), "raw"
	if s.ImageFile != "" {
		f, err := os.Open(s.ImageFile)
		if err != nil {
			return err
		}
		defer f.Close()
		data, format = f, "qcow2"
	}
	var made struct{ ID string }
	body := object{"name": s.ImageName, "disk_format": format, "container_format": "bare", "visibility": "public"}
	if err := s.image.Do(ctx, peer.Call{Method: "POST", Path: "/v2/images", In: body, Out: &made}); err != nil {
		return err
	}
	return s.image.Do(ctx, peer.Call{Method: "PUT", Path: "/v2/images/" + made.ID + "/file", In: data})
}

// imageLimits registers limits of images, those of upstream's installation guide,
// where the image service goes by the identity service's and there are none: then
// nobody may have an image.
func (s *Seeder) imageLimits(ctx context.Context) error {
	var used struct {
		Usage map[string]struct{ Limit int64 }
	}
	if err := s.image.Do(ctx, peer.Call{Method: "GET", Path: "/v2/info/usage", Out: &used}); err != nil || used.Usage[image.CountTotal].Limit != 0 {
		return err
	}
	service, err := find(ctx, s.identity, "/v3/services?type=image", "services")
	if err != nil {
		return err
	}
	var endpoints struct {
		Endpoints []struct {
			Region string `json:"region_id"`
		}
	}
	if err := s.identity.Do(ctx, peer.Call{Method: "GET", Path: "/v3/endpoints?service_id=" + service, Out: &endpoints}); err != nil {
		return err
	}
	if len(endpoints.Endpoints) == 0 {
		return errors.New("the image service has no endpoint")
	}
	var list []object
	for resource, most := range map[string]int{image.SizeTotal: 1000, image.StageTotal: 1000, image.CountTotal: 100, image.CountUploading: 100} {
		list = append(list, object{"service_id": service, "region_id": endpoints.Endpoints[0].Region, "resource_name": resource, "default_limit": most})
	}
	err = s.identity.Do(ctx, peer.Call{Method: "POST", Path: "/v3/registered_limits", In: object{"registered_limits": list}})
	if fault.Is(err, fault.Conflict) { // they are there, and the operator wants no images
		err = nil
	}
	return err
}

func (s *Seeder) networks(ctx context.Context) error {
	public, err := ensure(ctx, s.network, "/v2.0/networks?name=public", "networks", "/v2.0/networks", "network",
		object{"name": "public", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "public"})
	if err != nil {
		return err
	}
	if _, err := ensure(ctx, s.network, "/v2.0/subnets?network_id="+public, "subnets", "/v2.0/subnets", "subnet",
		object{"name": "public", "network_id": public, "ip_version": 4, "cidr": s.PublicCIDR, "enable_dhcp": false}); err != nil {
		return err
	}
	private, err := ensure(ctx, s.network, "/v2.0/networks?name=private&project_id="+s.demoProject, "networks", "/v2.0/networks", "network",
		object{"name": "private", "project_id": s.demoProject})
	if err != nil {
		return err
	}
	subnet, err := ensure(ctx, s.network, "/v2.0/subnets?network_id="+private, "subnets", "/v2.0/subnets", "subnet",
		object{"name": "private", "network_id": private, "ip_version": 4, "cidr": s.PrivateCIDR, "dns_nameservers": s.DNS, "project_id": s.demoProject})
	if err != nil {
		return err
	}
	router, err := ensure(ctx, s.network, "/v2.0/routers?name=router&project_id="+s.demoProject, "routers", "/v2.0/routers", "router",
		object{"name": "router", "project_id": s.demoProject, "external_gateway_info": object{"network_id": public}})
	if err != nil {
		return err
	}
	leg, err := find(ctx, s.network, "/v2.0/ports?device_id="+router+"&device_owner=network:router_interface", "ports")
	if err != nil || leg != "" {
		return err
	}
	return s.network.Do(ctx, peer.Call{Method: "PUT", Path: "/v2.0/routers/" + router + "/add_router_interface", In: object{"subnet_id": subnet}})
}

// rules opens ping and ssh in demo's default security group.
func (s *Seeder) rules(ctx context.Context) error {
	group, err := find(ctx, s.demoNet, "/v2.0/security-groups?name=default&project_id="+s.demoProject, "security_groups")
	if err != nil {
		return err
	}
	for _, rule := range []object{{"protocol": "icmp"}, {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}} {
		rule["security_group_id"], rule["direction"], rule["ethertype"], rule["remote_ip_prefix"] = group, "ingress", "IPv4", "0.0.0.0/0"
		err := s.demoNet.Do(ctx, peer.Call{Method: "POST", Path: "/v2.0/security-group-rules", In: object{"security_group_rule": rule}})
		if err != nil && !fault.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// keypair gives demo a key whose private half lies in KeyFile.
func (s *Seeder) keypair(ctx context.Context) error {
	if s.KeyFile == "" {
		return nil
	}
	public, err := s.key()
	if err != nil {
		return err
	}
	var kept struct {
		Keypair struct {
			PublicKey string `json:"public_key"`
		} `json:"keypair"`
	}
	err = s.demo.Do(ctx, peer.Call{Method: "GET", Path: "/v2.1/os-keypairs/demo", Out: &kept})
	switch {
	case err == nil && strings.HasPrefix(public, strings.TrimSpace(kept.Keypair.PublicKey)):
		return nil
	case err == nil: // another machine's
		if err := s.demo.Do(ctx, peer.Call{Method: "DELETE", Path: "/v2.1/os-keypairs/demo"}); err != nil {
			return err
		}
	case !fault.Is(err, fault.NotFound):
		return err
	}
	return s.demo.Do(ctx, peer.Call{Method: "POST", Path: "/v2.1/os-keypairs", In: object{"keypair": object{"name": "demo", "public_key": public}}})
}

func (s *Seeder) key() (public string, err error) {
	data, err := os.ReadFile(s.KeyFile)
	if errors.Is(err, os.ErrNotExist) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return "", err
		}
		block, err := ssh.MarshalPrivateKey(key, "kilonova demo")
		if err != nil {
			return "", err
		}
		data = pem.EncodeToMemory(block)
		if err := os.MkdirAll(filepath.Dir(s.KeyFile), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(s.KeyFile, data, 0o600); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	}
	signer, err := ssh.ParsePrivateKey(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.KeyFile, err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}
