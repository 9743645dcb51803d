package auth

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"
)

// Overrides are the rules of an operator's file, in oslo.policy's YAML: name and
// rule. They stand above those of a service's own table; names that the table
// does not have may be referred to by others. The file may change at any time.
type Overrides struct {
	// Path of the file; "": there is none.
	Path string
	// ProjectOnly refuses callers whose tokens are scoped to no project, whatever
	// the rules say: oslo.policy's enforce_scope for services all of whose rules
	// are about projects.
	ProjectOnly bool
	Log         *slog.Logger

	rules  atomic.Pointer[map[string]check]
	merged sync.Map // *Policy -> merged
	seen   stamp
}

// merged is a service's policy with the rules over it that it was made from.
type merged struct {
	with   *map[string]check
	policy *Policy
}

type stamp struct {
	changed time.Time
	size    int64
}

// maxOverrides bounds a policy file, in bytes.
const maxOverrides = 1 << 20

// Read reads the file if it has changed since the last time. What cannot be read
// leaves the rules as they are.
func (o *Overrides) Read() error {
	if o.Path == "" {
		return nil
	}
	info, err := os.Stat(o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		o.rules.Store(nil)
		o.seen = stamp{}
		return nil // as upstream: a file that is not there overrides nothing
	}
	if err != nil {
		return fmt.Errorf("policy file: %w", err)
	}
	now := stamp{info.ModTime(), info.Size()}
	if now == o.seen {
		return nil
	}
	if info.Size() > maxOverrides {
		return fmt.Errorf("policy file: %s is larger than %d bytes", o.Path, maxOverrides)
	}
	text, err := os.ReadFile(o.Path)
	if err != nil {
		return fmt.Errorf("policy file: %w", err)
	}
	rules, err := parseOverrides(text)
	if err != nil {
		return fmt.Errorf("policy file: %s: %w", o.Path, err)
	}
	o.seen = now
	o.rules.Store(&rules)
	return nil
}

func parseOverrides(text []byte) (map[string]check, error) {
	var table map[string]string
	if err := yaml.Unmarshal(text, &table); err != nil {
		return nil, err
	}
	rules := make(map[string]check, len(table))
	for name, rule := range table {
		c, err := parseRule(rule)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		rules[name] = c
	}
	return rules, nil
}

// over returns a service's policy with the file's rules.
func (o *Overrides) over(p *Policy) *Policy {
	with := o.rules.Load()
	if with == nil || len(*with) == 0 {
		return p
	}
	if m, ok := o.merged.Load(p); ok && m.(merged).with == with {
		return m.(merged).policy
	}
	both := &Policy{rules: make(map[string]check, len(p.rules)+len(*with))}
	for name, c := range p.rules {
		both.rules[name] = c
	}
	for name, c := range *with {
		both.rules[name] = c
	}
	for name, c := range *with {
		if err := both.references(c, map[string]bool{name: true}); err != nil { // such a rule allows nobody
			o.Log.Error("policy file: a rule allows nobody", "file", o.Path, "rule", name, "error", err)
			both.rules[name] = always(false)
		}
	}
	o.merged.Store(p, merged{with, both})
	return both
}

type overridesKey struct{}

// WithOverrides returns a context in which o stands above what policies say.
func WithOverrides(ctx context.Context, o *Overrides) context.Context {
	return context.WithValue(ctx, overridesKey{}, o)
}

// in returns the policy that counts in ctx, nil for one that allows the caller
// nothing.
func (p *Policy) in(ctx context.Context, c *Caller) *Policy {
	o, _ := ctx.Value(overridesKey{}).(*Overrides)
	if o == nil {
		return p
	}
	if o.ProjectOnly && c.ProjectID == "" {
		return nil
	}
	return o.over(p)
}
