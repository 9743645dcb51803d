package auth

import (
	"context"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
)

func TestPolicy(t *testing.T) {
	p := MustPolicy(map[string]string{
		"admin":    "role:admin",
		"owner":    "project_id:%(project_id)s",
		"member":   "role:member and rule:owner",
		"deep":     "rule:admin or (rule:member and not role:locked)",
		"open":     "",
		"never":    "!",
		"system":   "role:reader and system_scope:all",
		"public":   "'public':%(visibility)s or rule:owner",
		"is_admin": "is_admin:True",
		"none":     "None:%(owner)s",
	})
	admin := &Caller{Roles: []string{"admin"}}
	member := &Caller{ProjectID: "p1", Roles: []string{"member"}}
	locked := &Caller{ProjectID: "p1", Roles: []string{"member", "locked"}}
	reader := &Caller{System: "all", Roles: []string{"reader"}}
	tests := []struct {
		rule   string
		caller *Caller
		target Target
		want   bool
	}{
		{"admin", admin, nil, true},
		{"admin", member, nil, false},
		{"member", member, Target{"project_id": "p1"}, true},
		{"member", member, Target{"project_id": "p2"}, false},
		{"member", member, nil, false},
		{"deep", admin, nil, true},
		{"deep", member, Target{"project_id": "p1"}, true},
		{"deep", locked, Target{"project_id": "p1"}, false},
		{"open", member, nil, true},
		{"open", nil, nil, false},
		{"never", admin, nil, false},
		{"missing", admin, nil, false},
		{"system", reader, nil, true},
		{"system", member, nil, false},
		{"public", reader, Target{"visibility": "public"}, true},
		{"public", reader, Target{"visibility": "private", "project_id": ""}, false},
		{"is_admin", admin, nil, true},
		{"is_admin", member, nil, false},
		{"none", member, Target{"owner": "None"}, true},
	}
	for _, tt := range tests {
		ctx := t.Context()
		if tt.caller != nil {
			ctx = With(ctx, tt.caller)
		}
		if got := p.Allows(ctx, tt.rule, tt.target); got != tt.want {
			t.Errorf("%s of %+v for %v: %v", tt.rule, tt.caller, tt.target, got)
		}
	}
	if err := p.Enforce(With(t.Context(), member), "admin", nil); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
}

func TestPolicyRefusesBrokenRules(t *testing.T) {
	for rule, want := range map[string]string{
		"rule:missing":        "no rule missing",
		"rule:self":           "itself",
		"role:a and":          "too early",
		"(role:a":             "not closed",
		"role:a role:b":       "unexpected",
		"admin":               "no check",
		"http://example.com/": "not supported",
	} {
		if _, err := NewPolicy(map[string]string{"self": rule}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want mention of %q", rule, err, want)
		}
	}
}

// A revocation that comes while a token is looked up counts for all who ask later.
func TestForgetWhileATokenIsLookedUp(t *testing.T) {
	asked := make(chan chan error)
	c := NewCached(ValidatorFunc(func(context.Context, string) (*Caller, error) {
		answer := make(chan error)
		asked <- answer
		return &Caller{UserID: "u", Expires: time.Unix(2000, 0)}, <-answer
	}), time.Minute, func() time.Time { return time.Unix(1000, 0) })
	validate := func() (answer chan error, done chan error) {
		done = make(chan error, 1)
		go func() {
			_, err := c.Validate(t.Context(), "token")
			done <- err
		}()
		return <-asked, done
	}
	refused := fault.New(fault.Unauthenticated, "It has been revoked.")
	answer, before := validate()
	c.Forget()
	answerAfter, after := validate() // it does not join the first one
	answer <- nil
	answerAfter <- refused
	if first, second := <-before, <-after; first != nil || second == nil {
		t.Error(first, second)
	}
	answer, last := validate()
	answer <- refused
	if err := <-last; err == nil {
		t.Error("what was asked before is still believed")
	}
}

func TestCachedAsksOnceAndNotPastExpiry(t *testing.T) {
	now := time.Unix(1000, 0)
	asked := 0
	c := NewCached(ValidatorFunc(func(_ context.Context, token string) (*Caller, error) {
		asked++
		if token != "good" {
			return nil, fault.New(fault.Unauthenticated, "Token is not valid.")
		}
		return &Caller{UserID: "u", Expires: time.Unix(1003, 0)}, nil
	}), 2*time.Second, func() time.Time { return now })
	step := func(token string, advance time.Duration, wantAsked int) {
		t.Helper()
		now = now.Add(advance)
		_, err := c.Validate(t.Context(), token)
		if (err == nil) != (token == "good") || asked != wantAsked {
			t.Fatalf("%s: asked %d, want %d; %v", token, asked, wantAsked, err)
		}
	}
	step("good", 0, 1)
	step("good", time.Second, 1)
	step("good", time.Second, 2)
	step("good", time.Second, 3) // at its expiry: the next validator decides
	step("bad", 0, 4)
	step("bad", 0, 5)
	step("good", 0, 6)
	c.Forget()
	step("good", 0, 7)
}
