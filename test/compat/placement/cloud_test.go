package placement_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/auth"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/placement"
	"kilonova/service/placement/api"
	"kilonova/service/placement/control"
	"kilonova/service/placement/store"
)

// tokens stands in for the identity service: as upstream's noauth2 middleware,
// it takes who is calling from the headers of the request.
type tokens struct{ callers map[string]*auth.Caller }

// translate makes one token of the headers that say who is calling.
func (t *tokens) translate(headers map[string]string) {
	given, ok := headers["x-auth-token"]
	if !ok {
		return
	}
	user, project, _ := strings.Cut(given, ":")
	if project == "" {
		project = user
	}
	c := &auth.Caller{UserID: user, ProjectID: project}
	if user == "admin" {
		c.Roles = []string{"admin"}
	}
	if roles, ok := headers["x-roles"]; ok {
		c.Roles = strings.Split(roles, ",")
	}
	if p, ok := headers["x-project-id"]; ok {
		c.ProjectID = p
	}
	if s, ok := headers["openstack-system-scope"]; ok {
		c.System, c.ProjectID = s, ""
	}
	for _, h := range []string{"x-roles", "x-project-id", "openstack-system-scope"} {
		delete(headers, h)
	}
	c.Token = uuid.NewString()
	t.callers[c.Token] = c
	headers["x-auth-token"] = c.Token
}

// Validate implements auth.Validator.
func (t *tokens) Validate(_ context.Context, token string) (*auth.Caller, error) {
	if c, ok := t.callers[token]; ok {
		return c, nil
	}
	return nil, fault.New(fault.Unauthenticated, "The request you have made requires authentication.")
}

// cloud is a placement service and what a fixture has put into it.
type cloud struct {
	t       testing.TB
	store   *store.Store
	service http.Handler
	tokens  *tokens
	environ map[string]string
}

// manners are how a fixture wants the service to be.
type manners struct {
	secure bool // only the newer policy defaults
	open   bool // everybody may do everything
	cors   *rest.CORS
}

func newCloud(t testing.TB, m manners) *cloud {
	t.Helper()
	s, err := store.New(t.Context(), dbtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	o := control.Defaults()
	o.EnforceNewDefaults = m.secure
	var rules map[string]string
	if m.open {
		rules = map[string]string{}
		for _, name := range control.Rules() {
			rules[name] = "@"
		}
	}
	c, err := control.New(control.Config{Store: s, Log: log, Now: time.Now, Options: o, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	who := &tokens{map[string]*auth.Caller{}}
	service := api.New(c, api.Options{Validator: who, Log: log, Now: time.Now, CORS: m.cors})
	return &cloud{t: t, store: s, service: service.Handler(), tokens: who, environ: environment()}
}

// environment is what the files may ask for by $ENVIRON.
func environment() map[string]string {
	env := map[string]string{"CUSTOM_RES_CLASS": "CUSTOM_IRON_NFV", "CUSTOM_RES_CLASS1": "CUSTOM_IRON_NFV1", "CUSTOM_RES_CLASS2": "CUSTOM_IRON_NFV2"}
	for _, name := range []string{"RP_UUID", "RP_NAME", "RP_UUID1", "RP_NAME1", "RP_UUID2", "RP_NAME2", "PROJECT_ID", "ADMIN_PROJECT_ID",
		"SERVICE_PROJECT_ID", "USER_ID", "PROJECT_ID_ALT", "USER_ID_ALT", "INSTANCE_UUID", "MIGRATION_UUID", "CONSUMER_UUID",
		"PARENT_PROVIDER_UUID", "ALT_PARENT_PROVIDER_UUID"} {
		env[name] = uuid.NewString()
	}
	return env
}

func (c *cloud) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// provider makes a provider and returns its UUID.
func (c *cloud) provider(name, parent string, aggregates ...string) string {
	c.t.Helper()
	return c.providerAs(uuid.NewString(), name, parent, aggregates...)
}

func (c *cloud) providerAs(id, name, parent string, aggregates ...string) string {
	c.t.Helper()
	_, err := c.store.CreateProvider(c.t.Context(), time.Now(), placement.Provider{UUID: id, Name: name, ParentUUID: parent})
	c.must(err)
	if len(aggregates) > 0 {
		c.aggregates(id, aggregates...)
	}
	return id
}

func (c *cloud) aggregates(provider string, aggregates ...string) {
	c.t.Helper()
	_, err := c.store.SetAggregates(c.t.Context(), time.Now(), provider, nil, aggregates)
	c.must(err)
}

// traits gives a provider traits, which are made if need be.
func (c *cloud) traits(provider string, names ...string) {
	c.t.Helper()
	for _, n := range names {
		if !placement.IsStandardTrait(n) {
			_, err := c.store.AddTrait(c.t.Context(), time.Now(), n)
			c.must(err)
		}
	}
	_, err := c.store.SetTraits(c.t.Context(), time.Now(), provider, nil, names)
	c.must(err)
}

// inventory gives a provider an inventory: "VCPU", 8, and what differs from the
// defaults as "max_unit", 2, …
func (c *cloud) inventory(provider, class string, total int64, more ...any) {
	c.t.Helper()
	if !placement.IsStandardClass(class) {
		_, err := c.store.AddClass(c.t.Context(), time.Now(), class)
		c.must(err)
	}
	i := placement.Inventory{Class: class, Total: total, MinUnit: 1, MaxUnit: total, StepSize: 1, Ratio: 1}
	for k := 0; k < len(more); k += 2 {
		switch n := more[k+1]; more[k] {
		case "min_unit":
			i.MinUnit = int64(n.(int))
		case "max_unit":
			i.MaxUnit = int64(n.(int))
		case "step_size":
			i.StepSize = int64(n.(int))
		case "reserved":
			i.Reserved = int64(n.(int))
		case "ratio":
			i.Ratio = n.(float64)
		default:
			c.t.Fatalf("an inventory has no %v", more[k])
		}
	}
	_, err := c.store.AddInventory(c.t.Context(), time.Now(), provider, i)
	c.must(err)
}

// consumer makes a consumer that uses amounts of a provider and returns its UUID.
func (c *cloud) consumer(user, project, provider string, amounts ...placement.Amount) string {
	c.t.Helper()
	id := uuid.NewString()
	c.must(c.store.Claim(c.t.Context(), time.Now(), []placement.Claim{{ConsumerUUID: id, ProjectID: project, UserID: user,
		Allocations: []placement.ProviderAmounts{{ProviderUUID: provider, Amounts: amounts}}}}))
	return id
}

// set puts values into the environment: "CN%d_UUID", id, 1 …
func (c *cloud) set(name, value string, args ...any) { c.environ[fmt.Sprintf(name, args...)] = value }
