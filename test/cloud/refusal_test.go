package cloud

import (
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
)

// A server that no host could start says what the last of them has said, not
// only that none is left.
func TestRefusedByEveryHost(t *testing.T) {
	config := base(t)
	config.Fake.Faults = []stack.FakeFault{{Verb: "create", Message: "The guest's disk is on fire."}}
	st, err := stack.Start(t.Context(), config, testLog(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := ready(t, config, st.URL(), st)
	hostsUp(t, c)
	opts := servers.CreateOpts{Name: "unlucky", FlavorRef: "1", ImageRef: imageID(t, c.demo), Networks: []servers.Network{{UUID: networkID(t, c.demo, "private")}}}
	s, err := servers.Create(t.Context(), c.demo.compute, opts, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	s = awaitStatus(t, c.demo, s.ID, "ERROR")
	if m := s.Fault.Message; !strings.Contains(m, "Exhausted all hosts") || !strings.Contains(m, "on fire") || !strings.Contains(m, "host ") {
		t.Errorf("the fault does not say why: %q", m)
	}
}
