package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"kilonova/internal/db"
	"kilonova/internal/db/dbtest"
	"kilonova/internal/fault"
	"kilonova/service/network"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// each runs a test on an empty store on every database.
func each(t *testing.T, test func(t *testing.T, s *Store)) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s, err := New(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

// tx runs f in a transaction and fails the test if that fails.
func tx(t *testing.T, s *Store, f func(tx *db.Tx) error) {
	t.Helper()
	if err := s.Tx(context.Background(), f); err != nil {
		t.Error(err)
	}
}

// together runs f n times at once, each in a transaction of its own.
func together(t *testing.T, s *Store, n int, f func(tx *db.Tx, i int) error) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { tx(t, s, func(tx *db.Tx) error { return f(tx, i) }) })
	}
	all.Wait()
}

// made has a network with a subnet of 10.0.0.0/24.
func made(t *testing.T, s *Store) (networkID, subnetID string) {
	t.Helper()
	networkID, subnetID = uuid.NewString(), uuid.NewString()
	tx(t, s, func(tx *db.Tx) error {
		n := network.Network{Standard: NewStandard(networkID, "p", "", epoch), Status: network.Active, NetworkPlacement: &network.NetworkPlacement{Type: "vxlan"}}
		if err := s.InsertNetwork(context.Background(), tx, n); err != nil {
			return err
		}
		return s.InsertSubnet(context.Background(), tx, network.Subnet{Standard: NewStandard(subnetID, "p", "", epoch), NetworkID: networkID, IPVersion: 4, CIDR: "10.0.0.0/24"})
	})
	return networkID, subnetID
}

func port(networkID string, i int, ips ...network.FixedIP) network.Port {
	return network.Port{Standard: NewStandard(uuid.NewString(), "p", "", epoch), NetworkID: networkID, MAC: fmt.Sprintf("fa:16:3e:00:%02x:%02x", i/256, i%256),
		Status: network.Down, FixedIPs: ips, Binding: &network.Binding{}}
}

// Those who want addresses at once get one each, different ones, and as many get
// one as there are.
func TestAddressesAreExact(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		networkID, subnetID := made(t, s)
		const free = 40
		ranges := []Range{{netip.MustParseAddr("10.0.0.10"), netip.MustParseAddr("10.0.0.29")}, {netip.MustParseAddr("10.0.0.40"), netip.MustParseAddr("10.0.0.60")}}
		skip := func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.50") }
		var mu sync.Mutex
		got, none := map[string]int{}, 0
		ctx := context.Background()
		together(t, s, free+15, func(tx *db.Tx, i int) error {
			a, ok, err := s.TakeAddress(ctx, tx, subnetID, ranges, skip)
			if err != nil {
				return err
			}
			if ok {
				if err := s.InsertPort(ctx, tx, port(networkID, i, network.FixedIP{SubnetID: subnetID, IP: a.String()})); err != nil {
					return err
				}
			}
			tx.OnCommit(func() {
				mu.Lock()
				defer mu.Unlock()
				if ok {
					got[a.String()]++
				} else {
					none++
				}
			})
			return nil
		})
		if len(got) != free || none != 15 || got["10.0.0.50"] > 0 {
			t.Errorf("%d different addresses, %d times none: %v", len(got), none, got)
		}
		if use, err := s.SubnetUse(ctx, s); err != nil || use[subnetID] != free {
			t.Error(use, err)
		}
	})
}

// Of those who want the same address, MAC address or default group, one gets it.
func TestKeysAreGivenOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		networkID, subnetID := made(t, s)
		ctx := context.Background()
		for what, insert := range map[string]func(tx *db.Tx, i int) error{
			"address": func(tx *db.Tx, i int) error {
				return s.InsertPort(ctx, tx, port(networkID, i, network.FixedIP{SubnetID: subnetID, IP: "10.0.0.9"}))
			},
			"MAC address": func(tx *db.Tx, i int) error { return s.InsertPort(ctx, tx, port(networkID, 1000)) },
			"default group": func(tx *db.Tx, i int) error {
				return s.InsertGroup(ctx, tx, network.SecurityGroup{Standard: NewStandard(uuid.NewString(), "p", "", epoch), Name: "default", Default: true})
			},
		} {
			var mu sync.Mutex
			good := 0
			var all sync.WaitGroup
			for i := range 12 {
				all.Go(func() {
					err := s.Tx(ctx, func(tx *db.Tx) error { return insert(tx, i) })
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						good++
					} else if !db.IsUnique(err) {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			all.Wait()
			if good != 1 {
				t.Errorf("%s: given %d times", what, good)
			}
		}
	})
}

// Those who take of one quota at once get exactly what there is, from the first
// on.
func TestQuotaIsExact(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const limit, wanted = 7, 30
		ctx := context.Background()
		together(t, s, wanted, func(tx *db.Tx, i int) error {
			if err := s.LockQuota(ctx, tx, "p"); err != nil {
				return err
			}
			used, err := s.Used(ctx, tx, "p", "network")
			if err != nil || used >= limit {
				return err
			}
			return s.InsertNetwork(ctx, tx, network.Network{Standard: NewStandard(uuid.NewString(), "p", "", epoch), NetworkPlacement: &network.NetworkPlacement{}})
		})
		if used, err := s.Used(ctx, s, "p", "network"); err != nil || used != limit {
			t.Error(used, err)
		}
		together(t, s, 10, func(tx *db.Tx, i int) error { return s.SetQuota(ctx, tx, "q", "port", i) })
		if all, err := s.QuotasOf(ctx, s, "q"); err != nil || len(all) != 1 {
			t.Error(all, err)
		}
	})
}

// Signs of life and changes of a host's state that come at once make one agent
// and numbers that grow.
func TestAgentsAndRevisionsUnderConcurrency(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		var mu sync.Mutex
		seen := map[int64]bool{}
		together(t, s, 15, func(tx *db.Tx, i int) error {
			_, err := s.BeatAgent(ctx, tx, AgentRow{ID: uuid.NewString(), Type: network.AgentL3, Host: "h", CreatedAt: db.At(epoch), StartedAt: db.At(epoch), Heartbeat: db.At(epoch)})
			if err != nil {
				return err
			}
			n, err := s.Bump(ctx, tx, "h", epoch)
			tx.OnCommit(func() {
				mu.Lock()
				defer mu.Unlock()
				seen[n] = true
			})
			return err
		})
		if list, err := s.AgentsWhere(ctx, s, `t.host = ?`, "h"); err != nil || len(list) != 1 {
			t.Error(list, err)
		}
		if n, err := s.Revision(ctx, s, "h"); err != nil || len(seen) != 15 || n != epoch.UnixMicro()+14 {
			t.Error(n, len(seen), err)
		}
	})
}

// A network that is deleted while a port is made on it: either is refused, and
// nothing dangles.
func TestDeletedUnderTheFeet(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		used := errors.New("in use")
		for range 5 {
			networkID, subnetID := made(t, s)
			results := make([]error, 2)
			var both sync.WaitGroup
			both.Go(func() {
				results[0] = s.Tx(ctx, func(tx *db.Tx) error {
					if _, err := s.Subnet(ctx, tx, Everything, subnetID); err != nil {
						return err
					}
					return s.InsertPort(ctx, tx, port(networkID, 1, network.FixedIP{SubnetID: subnetID, IP: "10.0.0.9"}))
				})
			})
			both.Go(func() {
				results[1] = s.Tx(ctx, func(tx *db.Tx) error {
					if ports, err := s.PortsWhere(ctx, tx, `t.network_id = ?`, networkID); err != nil || len(ports) > 0 {
						return errors.Join(err, used)
					}
					return s.DeleteNetwork(ctx, tx, networkID)
				})
			})
			both.Wait()
			made := results[0] == nil && errors.Is(results[1], used)
			deleted := results[1] == nil && fault.Is(results[0], fault.NotFound)
			if made == deleted {
				t.Fatalf("made: %v; deleted: %v", results[0], results[1])
			}
		}
	})
}

// probe filters and sorts by every attribute, alone and from a marker on.
func probe[R any](t *testing.T, s *Store, l *listing) {
	t.Helper()
	run := func(what string, scope Scope, q network.Query) {
		text, args, err := l.query(scope, q)
		if err == nil {
			_, err = db.Select[R](t.Context(), s, text, args...)
		}
		if err != nil {
			t.Errorf("%s by %s: %v", l.table, what, err)
		}
	}
	values := map[kind][]string{word: {"x", "Größe"}, number: {"1", "99999999999999"}, boolean: {"true", "false"}}
	for name, a := range l.attrs {
		for _, scope := range []Scope{Everything, {ProjectID: "p"}} {
			switch {
			case name == "fixed_ips":
				run(name, scope, network.Query{Filters: map[string][]string{name: {"ip_address=10.0.0.1", "ip_address_substr=10_", "subnet_id=x"}}})
			case name == "created_at" || name == "updated_at": // to sort by only
			default:
				run(name, scope, network.Query{Filters: map[string][]string{name: values[a.kind]}})
			}
			if a.expr == "" {
				continue
			}
			for _, down := range []bool{true, false} {
				run(name, scope, network.Query{Sort: []network.SortKey{{Attribute: name, Descending: down}}, Limit: 2, Marker: "m"})
			}
		}
	}
}

func TestEveryAttributeFiltersAndSorts(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		made(t, s)
		probe[networkRead](t, s, networkList)
		probe[subnetRow](t, s, subnetList)
		probe[portRead](t, s, portList)
		probe[routerRow](t, s, routerList)
		probe[floatingRow](t, s, floatingList)
		probe[groupRow](t, s, groupList)
		probe[ruleRow](t, s, ruleList)
		probe[rbacRow](t, s, rbacList)
		probe[poolRow](t, s, poolList)
		probe[qosRow](t, s, qosList)
		probe[AgentRow](t, s, agentList)
	})
}
