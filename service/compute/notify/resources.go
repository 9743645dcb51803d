package notify

import (
	"strconv"

	"kilonova/service/compute"
)

type flavorData struct {
	ID          string            `json:"flavorid"`
	Name        string            `json:"name"`
	MemoryMB    int               `json:"memory_mb"`
	VCPUs       int               `json:"vcpus"`
	RootGB      int               `json:"root_gb"`
	EphemeralGB int               `json:"ephemeral_gb"`
	SwapMB      int               `json:"swap"`
	RxTxFactor  float64           `json:"rxtx_factor"`
	Weight      int               `json:"vcpu_weight"`
	Disabled    bool              `json:"disabled"`
	Public      bool              `json:"is_public"`
	ExtraSpecs  map[string]string `json:"extra_specs"`
	Projects    []string          `json:"projects"`
	Description *string           `json:"description"`
}

// flavorIn is a flavor as a server's notifications show it: without the projects
// that may use it.
func flavorIn(f compute.Flavor) object { return flavor(f, nil) }

func flavor(f compute.Flavor, projects []string) object {
	d := flavorData{ID: f.ID, Name: f.Name, MemoryMB: f.MemoryMB, VCPUs: f.VCPUs, RootGB: f.RootGB, EphemeralGB: f.EphemeralGB, SwapMB: f.SwapMB,
		RxTxFactor: f.RxTxFactor, Disabled: f.Disabled, Public: f.Public, ExtraSpecs: f.ExtraSpecs, Projects: projects, Description: f.Description}
	if d.RxTxFactor == 0 {
		d.RxTxFactor = 1
	}
	if d.ExtraSpecs == nil {
		d.ExtraSpecs = map[string]string{}
	}
	return objectOf("FlavorPayload", "1.4", d)
}

// Flavor words that a flavor was created, updated or deleted: action is the verb
// without its end ("create").
func Flavor(c Cause, action string, f compute.Flavor) Message {
	return c.versioned(ByAPI, "flavor."+action, flavor(f, orNone(f.Projects)))
}

func keypair(k compute.Keypair) object {
	return objectOf("KeypairPayload", "1.0", struct {
		UserID      string  `json:"user_id"`
		Name        string  `json:"name"`
		Type        string  `json:"type"`
		Fingerprint *string `json:"fingerprint"`
		PublicKey   *string `json:"public_key"`
	}{k.UserID, k.Name, k.Type, orNull(k.Fingerprint), orNull(k.PublicKey)})
}

// Keypair words a phase ("start", "end") of making ("create", "import") or deleting
// a keypair.
func Keypair(c Cause, action, phase string, k compute.Keypair) Message {
	return c.versioned(ByAPI, "keypair."+action+"."+phase, keypair(k))
}

// Aggregate words a phase of what is done to an aggregate ("add_host", …).
func Aggregate(c Cause, action, phase string, a compute.Aggregate) Message {
	var number *int64 // it has none before it is there
	if a.Seq != 0 {
		number = &a.Seq
	}
	metadata := a.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return c.versioned(ByAPI, "aggregate."+action+"."+phase, objectOf("AggregatePayload", "1.1", struct {
		ID       *int64            `json:"id"`
		UUID     string            `json:"uuid"`
		Name     string            `json:"name"`
		Hosts    []string          `json:"hosts"`
		Metadata map[string]string `json:"metadata"`
	}{number, a.ID, a.Name, orNone(a.Hosts), metadata}))
}

// ServerGroup words that a group was made, deleted, or joined ("create", "delete",
// "add_member").
func ServerGroup(c Cause, action string, g compute.ServerGroup) Message {
	rules := map[string]string{}
	if g.MaxPerHost > 0 {
		rules["max_server_per_host"] = strconv.Itoa(g.MaxPerHost)
	}
	return c.versioned(ByAPI, "server_group."+action, objectOf("ServerGroupPayload", "1.1", struct {
		UUID      string            `json:"uuid"`
		Name      string            `json:"name"`
		ProjectID string            `json:"project_id"`
		UserID    string            `json:"user_id"`
		Policies  []string          `json:"policies"`
		Policy    string            `json:"policy"`
		Rules     map[string]string `json:"rules"`
		Members   []string          `json:"members"`
		Hosts     []string          `json:"hosts"`
	}{g.ID, g.Name, g.ProjectID, g.UserID, []string{g.Policy}, g.Policy, rules, orNone(g.Members), nil}))
}

// serviceTopics are the old names of the services' queues.
var serviceTopics = map[string]string{compute.BinaryCompute: "compute", compute.BinaryConductor: "conductor", compute.BinaryScheduler: "scheduler"}

// serviceVersion is what a service says of its version: that of upstream's release
// whose behaviour this is.
const serviceVersion = 66

// Service words that a service came, changed or went ("create", "update",
// "delete").
func Service(c Cause, action string, h *compute.Host) Message {
	c.Host = h.Name
	return c.versioned(h.Binary, "service."+action, objectOf("ServiceStatusPayload", "1.1", struct {
		Host           string  `json:"host"`
		Binary         string  `json:"binary"`
		Topic          string  `json:"topic"`
		ReportCount    int     `json:"report_count"`
		Disabled       bool    `json:"disabled"`
		DisabledReason *string `json:"disabled_reason"`
		Zone           *string `json:"availability_zone"`
		LastSeen       stamp   `json:"last_seen_up"`
		ForcedDown     bool    `json:"forced_down"`
		Version        int     `json:"version"`
		UUID           string  `json:"uuid"`
	}{h.Name, h.Binary, serviceTopics[h.Binary], 0, h.Disabled, orNull(h.DisabledReason), orNull(h.Zone), stamp{h.LastSeen}, h.ForcedDown, serviceVersion, h.ID}))
}
