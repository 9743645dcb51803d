package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/placement"
	"kilonova/service/placement/forest"
	"kilonova/service/placement/store"
)

// Options are the settings of the sections [placement] and [oslo_policy], by
// upstream's names.
type Options struct {
	// Randomize has candidates come from trees in a random order, so that many
	// schedulers with a limit do not all look at the same few hosts.
	Randomize bool `toml:"randomize_allocation_candidates"`
	// IncompleteProjectID and IncompleteUserID own what callers before version
	// 1.8 claim, who cannot say for whom.
	IncompleteProjectID string `toml:"incomplete_consumer_project_id"`
	IncompleteUserID    string `toml:"incomplete_consumer_user_id"`
	// MaxCandidates bounds one answer; -1: no bound.
	MaxCandidates int `toml:"max_allocation_candidates"`
	// Strategy is "depth-first" or "breadth-first".
	Strategy string `toml:"allocation_candidates_generation_strategy"`
	// EnforceNewDefaults leaves the reshaper to services; without it
	// administrators may use it too.
	EnforceNewDefaults bool `toml:"enforce_new_defaults"`
}

// Defaults returns the options that hold where nothing else is said.
func Defaults() Options {
	const nobody = "00000000-0000-0000-0000-000000000000"
	// Breadth first, other than upstream, for old programs' sake, has it: depth first the
	// ways to give four of eight devices of one host fill the answer, and nobody hears
	// of the next host.
	return Options{IncompleteProjectID: nobody, IncompleteUserID: nobody, MaxCandidates: 100_000,
		Strategy: "breadth-first", EnforceNewDefaults: true}
}

// Config is what Control stands on.
type Config struct {
	Store   *store.Store
	Log     *slog.Logger
	Now     func() time.Time
	Options Options
	// Rules replace rules of the policy table, by name. May be nil.
	Rules map[string]string
	// Seed gives random numbers to Randomize; nil: the runtime's.
	Seed func() uint64
}

// Control is placement's use cases.
type Control struct {
	store   *store.Store
	log     *slog.Logger
	now     func() time.Time
	options Options
	policy  *auth.Policy
	seed    func() uint64
	picture picture
}

// New checks c and returns the use cases.
func New(c Config) (*Control, error) {
	if c.Store == nil || c.Log == nil || c.Now == nil {
		return nil, errors.New("placement: store, log and clock are needed")
	}
	if s := c.Options.Strategy; s != "depth-first" && s != "breadth-first" {
		return nil, fmt.Errorf("placement: allocation_candidates_generation_strategy is %q; it must be depth-first or breadth-first", s)
	}
	policy, err := auth.NewPolicy(rules(c.Options, c.Rules))
	if err != nil {
		return nil, err
	}
	if c.Seed == nil {
		c.Seed = rand.Uint64
	}
	return &Control{store: c.Store, log: c.Log, now: c.Now, options: c.Options, policy: policy, seed: c.Seed,
		picture: picture{forest: forest.New(), claimed: make(chan struct{}, 1)}}, nil
}

// Authorize reports whether the caller in ctx may do what rule is about. Tokens
// of a system or a domain may do nothing here, as upstream has it.
func (c *Control) Authorize(ctx context.Context, rule string, target auth.Target) error {
	if caller := auth.From(ctx); caller != nil && (caller.System != "" || caller.DomainID != "") {
		return fault.Forbiddenf("Policy does not allow %s to be performed: a token of a project is needed.", rule)
	}
	return c.policy.Enforce(ctx, rule, target)
}

// rephrase puts a fault, or an UnknownClass, into a sentence, of kind k. Its code
// stays; any other error stays as it is.
func rephrase(err error, k fault.Kind, format string, args ...any) error {
	if _, ok := errors.AsType[*fault.Error](err); !ok && !isUnknownClass(err) {
		return err
	}
	return fault.New(k, format+": %w", append(args, err)...).WithCode(codeOf(err))
}

// isUnknownClass reports whether err is about a resource class that was used and
// does not exist.
func isUnknownClass(err error) bool {
	_, ok := errors.AsType[placement.UnknownClass](err)
	return ok
}

// codeOf returns the machine-readable name of a fault, "" if it has none.
func codeOf(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return ""
}
