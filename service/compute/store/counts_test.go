package store

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// summed is what the counts have to be: the servers themselves, added up.
func summed(t *testing.T, s *Store) (projects map[string]Usage, hosts map[string]Usage) {
	t.Helper()
	projects, hosts = map[string]Usage{}, map[string]Usage{}
	for row, err := range db.Each[serverRow](t.Context(), s.DB, `SELECT * FROM servers`) {
		if err != nil {
			t.Fatal(err)
		}
		r := countedRow{row.ProjectID, row.UserID, row.State, row.Host, row.VCPUs, row.MemoryMB, row.DeletedAt}
		if !r.DeletedAt.IsZero() {
			continue
		}
		if r.State != compute.SoftDeleted {
			projects[r.ProjectID] = projects[r.ProjectID].plus(&r, 1)
			user := r.ProjectID + "/" + r.UserID
			projects[user] = projects[user].plus(&r, 1)
		}
		if r.Host != "" {
			hosts[r.Host] = hosts[r.Host].plus(&r, 1)
		}
	}
	return projects, hosts
}

func counted(t *testing.T, s *Store) (projects map[string]Usage, hosts map[string]Usage) {
	t.Helper()
	ctx := t.Context()
	projects, hosts = map[string]Usage{}, map[string]Usage{}
	for p := range 3 {
		project := fmt.Sprint("p", p)
		u, err := s.Usage(ctx, s.DB, project)
		if err != nil {
			t.Fatal(err)
		}
		projects[project] = u
		for n := range 2 {
			user := fmt.Sprint("u", n)
			if projects[project+"/"+user], err = s.UserUsage(ctx, s.DB, project, user); err != nil {
				t.Fatal(err)
			}
		}
	}
	loads, err := s.HostLoads(ctx, s.DB)
	if err != nil {
		t.Fatal(err)
	}
	for host, l := range loads {
		hosts[host] = Usage{l.Servers, l.VCPUs, l.MemoryMB}
		if one, err := s.HostLoad(ctx, s.DB, host); err != nil || one != l {
			t.Errorf("%s alone has %+v, and among all %+v: %v", host, one, l, err)
		}
	}
	zero := func(_ string, u Usage) bool { return u == Usage{} }
	maps.DeleteFunc(projects, zero)
	maps.DeleteFunc(hosts, zero)
	return projects, hosts
}

// Many change servers at once in every way that counts, some of them in vain.
func TestCountsAreWhatServersAre(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		var workers sync.WaitGroup
		for w := range 6 {
			dice := rand.New(rand.NewPCG(7, uint64(w)))
			workers.Go(func() {
				var mine []string
				for i := range 40 {
					err := s.Tx(ctx, func(tx *db.Tx) error {
						if len(mine) < 3 || dice.IntN(4) == 0 {
							v := &compute.Server{ID: fmt.Sprintf("%d-%d", w, i), ProjectID: fmt.Sprint("p", dice.IntN(3)), UserID: fmt.Sprint("u", dice.IntN(2)), State: compute.Building,
								Flavor: compute.Flavor{VCPUs: 1 + dice.IntN(4), MemoryMB: 512}, CreatedAt: epoch, UpdatedAt: epoch}
							return s.InsertServers(ctx, tx, v)
						}
						var err error
						for range 3 { // of several projects and hosts, in any order
							if _, err = s.UpdateServer(ctx, tx, mine[dice.IntN(len(mine))], anyPatch(dice), Expect{Existing: dice.IntN(2) == 0}, epoch); err != nil {
								return err
							}
						}
						if dice.IntN(8) == 0 {
							return errVain
						}
						return nil
					})
					if err == nil {
						mine = append(mine, fmt.Sprintf("%d-%d", w, i)) // or there is none, which is fine to patch, too
					} else if err != errVain {
						t.Error(err)
					}
				}
			})
		}
		workers.Wait()
		wantProjects, wantHosts := summed(t, s)
		projects, hosts := counted(t, s)
		if len(wantProjects) < 3 || !maps.Equal(projects, wantProjects) {
			t.Errorf("projects:\n%v\nand not\n%v", projects, wantProjects)
		}
		if len(wantHosts) < 2 || !maps.Equal(hosts, wantHosts) {
			t.Errorf("hosts:\n%v\nand not\n%v", hosts, wantHosts)
		}
		if n, err := s.Recount(ctx); n != 0 || err != nil {
			t.Errorf("%d counts were wrong: %v", n, err)
		}
		// Somebody who does not count.
		for _, statement := range []string{`UPDATE servers SET host = 'h9', vcpus = vcpus + 1 WHERE deleted_at IS NULL`, `DELETE FROM project_counts WHERE project_id = 'p1'`} {
			if _, err := s.DB.Exec(ctx, statement); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Recount(ctx); n == 0 || err != nil {
			t.Errorf("%d counts were wrong: %v", n, err)
		}
		wantProjects, wantHosts = summed(t, s)
		if projects, hosts = counted(t, s); !maps.Equal(projects, wantProjects) || !maps.Equal(hosts, wantHosts) {
			t.Errorf("mended:\n%v %v\nand not\n%v %v", projects, hosts, wantProjects, wantHosts)
		}
	})
}

var errVain = fmt.Errorf("in vain")

func anyPatch(dice *rand.Rand) (p ServerPatch) {
	switch dice.IntN(6) {
	case 0:
		p.State = new(compute.State)
		*p.State = []compute.State{compute.Active, compute.SoftDeleted, compute.Error}[dice.IntN(3)]
	case 1, 2:
		p.Host = new(string)
		*p.Host = []string{"", "h1", "h2", "h3"}[dice.IntN(4)]
	case 3:
		p.Reserved = &compute.Reserved{VCPUs: 1 + dice.IntN(9), MemoryMB: 1024}
	case 4:
		p.Task = new(compute.Task)
		*p.Task = []compute.Task{compute.NoTask, compute.Deleting}[dice.IntN(2)]
	case 5:
		p.DeletedAt = new(epoch)
	}
	return p
}
