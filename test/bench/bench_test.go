package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kilonova/stack"
)

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, c := range []struct {
		values []float64
		p      float64
		want   float64
	}{{nil, .5, 0}, {[]float64{7}, .99, 7}, {[]float64{1, 2, 3}, .5, 2}, {hundred, .5, 50}, {hundred, .99, 99}, {hundred, 1, 100}} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("the %v of %d values is %v, and not %v", c.p, len(c.values), got, c.want)
		}
	}
}

func TestMeasureCountsFailures(t *testing.T) {
	d := measure(t.Context(), plan{n: 20, concurrency: 4, limit: time.Minute}, nil, func(_ context.Context, i int) (int, error) {
		if i%2 == 1 {
			return 0, errors.New("odd")
		}
		return 5, nil
	})
	if d.N != 10 || d.Errors != 10 || d.FirstError != "odd" || d.Bytes != 5 {
		t.Fatalf("%+v", d)
	}
}

func TestAssignments(t *testing.T) {
	env := assignments(strings.NewReader("# ready\nexport OS_AUTH_URL=http://127.0.0.1:1/v3 OS_PASSWORD='p'\nexport OS_PROJECT_DOMAIN_NAME=Default\nexport OS_PASSWORD=later\n"))
	if env["OS_AUTH_URL"] != "http://127.0.0.1:1/v3" || env["OS_PASSWORD"] != "p" {
		t.Fatal(env)
	}
}

func TestRefusesOtherHosts(t *testing.T) {
	if _, err := open(t.Context(), map[string]string{"OS_AUTH_URL": "http://cloud.example.com:5000/v3"}, nil); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Fatal(err)
	}
}

// TestEverythingIsMeasured goes through all steps with a small cloud, so that what
// the benchmark asks for is really answered, and looks at what is left.
func TestEverythingIsMeasured(t *testing.T) {
	st, err := stack.StartDev(t.Context(), stack.Dev(t.TempDir(), "127.0.0.1:0", 2), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	login, _ := st.Logins()
	env := assignments(strings.NewReader(login.Exports()))
	s := full().divided(1000)
	s.servers, s.providers, s.limit, s.patience = 30, 20, 20*time.Second, 20*time.Second
	out := &Cloud{Calls: map[string]Distribution{}}
	if err := out.measure(t.Context(), env, nil, s, "test"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"token_issue", "token_validate", "token_validate_at_8", "boot_alone", "boot_40_at_8", "port_create", "server_get", "server_get_at_8", "servers_page",
		"servers_detail_page", "candidates_limit_10", "candidates_limit_1000", "candidates_conditions_limit_10", "candidates_conditions_limit_1000", "candidates_nested_limit_10", "candidates_nested_limit_1000"} {
		if d := out.Calls[name]; d.N == 0 || d.Errors > 0 || d.P50 <= 0 || d.P50 > d.P99 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	c, err := open(t.Context(), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(c, "test", s, nil)
	if left, err := b.servers(t.Context(), "", ""); err != nil || len(left) > 0 {
		t.Errorf("%d servers are left, %v", len(left), err)
	}
	if id, err := b.first(t.Context(), "network", "/networks?name=bench", "networks", "bench"); err != nil || id != "" {
		t.Errorf("network %q is left, %v", id, err)
	}
}

func TestGoalsAndRatios(t *testing.T) {
	ours := &Cloud{Idle: &Memory{PSS: 50}, Calls: map[string]Distribution{"server_get": {P50: .25, CPU: .1}, "boot_alone": {P50: 80}, "token_issue": {P50: 50}, sameHash: {P50: 200}}}
	other := &Cloud{Idle: &Memory{PSS: 4000}, Calls: map[string]Distribution{"server_get": {P50: 125, CPU: 130}, "token_issue": {P50: 300}}}
	r := ratios(ours, other)
	if r["server_get"] != 500 || r["server_get_cpu"] != 1300 || r["memory_idle"] != 80 || r["token_issue"] != 1.5 {
		t.Errorf("%v", r)
	}
	met := map[string]bool{}
	for _, g := range goals(ours) {
		met[g.What] = g.Met
	}
	if !met["GET one server, p50"] || met["POST to ACTIVE, alone, p50"] || !met["memory of all roles, idle"] {
		t.Errorf("%v", met)
	}
}
