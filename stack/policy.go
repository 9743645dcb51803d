package stack

import (
	"context"
	"path/filepath"
	"time"

	"kilonova/internal/auth"
)

// PolicyOptions are those of the sections [oslo_policy] (compute),
// [identity.oslo_policy] and so on.
type PolicyOptions struct {
	// PolicyFile has rules in oslo.policy's YAML that stand above the service's
	// own; below Data unless it is absolute. It is read again when it changes.
	PolicyFile string `toml:"policy_file"`
}

// ComputePolicyOptions are compute's, whose rules are all about projects.
type ComputePolicyOptions struct {
	PolicyOptions
	// EnforceScope refuses tokens that are scoped to no project.
	EnforceScope bool `toml:"enforce_scope"`
}

// policyFileOf returns the file of a service's rules, "" if there is none.
func (c *Config) policyFileOf(service string) string {
	file := map[string]string{"compute": c.OsloPolicy.PolicyFile, "identity": c.Identity.OsloPolicy.PolicyFile, "image": c.Image.OsloPolicy.PolicyFile,
		"network": c.Network.OsloPolicy.PolicyFile, "placement": c.Placement.OsloPolicy.PolicyFile}[service]
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(c.Data, file)
}

// policyInterval is how often policy files are looked at.
const policyInterval = time.Second

// readPolicies reads the policy files of the services that live here, and again
// whenever they change. A file that is wrong refuses to start; one that becomes
// wrong is not heeded.
func (s *Stack) readPolicies() (err error) {
	s.policies = map[string]*auth.Overrides{}
	for _, service := range []string{"compute", "identity", "image", "network", "placement"} {
		if s.policies[service], err = s.overrides(service); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) overrides(service string) (*auth.Overrides, error) {
	o := &auth.Overrides{Path: s.Config.policyFileOf(service), ProjectOnly: service == "compute" && s.Config.OsloPolicy.EnforceScope, Log: s.Log}
	if err := o.Read(); err != nil {
		return nil, err
	}
	if o.Path == "" {
		return o, nil
	}
	s.run("policy of "+service, func(ctx context.Context) error {
		tick := time.NewTicker(policyInterval)
		defer tick.Stop()
		last := ""
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			text := ""
			if err := o.Read(); err != nil {
				text = err.Error()
			}
			if text != last && text != "" {
				s.Log.Error("a policy file is not heeded", "service", service, "error", text)
			}
			last = text
		}
	})
	return o, nil
}
