package placement_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"kilonova/internal/auth"
)

// TestClaimsFillExactly has 32 schedulers make 10,000 claims on hosts that have
// room for exactly as many. Each asks for candidates, takes one, and asks again
// when another one was faster. In the end all have got theirs, none is over, and
// there is an order in which one after the other would have got the same answers.
func TestClaimsFillExactly(t *testing.T) {
	const hosts, room, schedulers = 50, 200, 32
	c := newCloud(t, manners{})
	c.tokens.callers["nova"] = &auth.Caller{UserID: "nova", ProjectID: "service", Roles: []string{"service"}}
	var uuids []string
	for i := range hosts {
		id := c.provider(fmt.Sprintf("host%d", i), "")
		c.inventory(id, "VCPU", room/4, "ratio", 4.0, "max_unit", 1)
		uuids = append(uuids, id)
	}
	work := make(chan string, hosts*room)
	for range hosts * room {
		work <- uuid.NewString()
	}
	close(work)
	h := newHistory()
	var wg sync.WaitGroup
	for n := range schedulers {
		random := rand.New(rand.NewPCG(1, uint64(n)))
		wg.Go(func() {
			for consumer := range work {
				if err := c.schedule(consumer, random, h, n); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	go func() { // looks on, for as long as there is work
		defer close(over)
		for len(work) > 0 {
			for _, id := range uuids {
				var used int64
				h.record(schedulers, func() claimAnswer { used = c.used(id); return claimAnswer{used: used} }, claimInput{host: id, read: true})
				if used > room {
					t.Errorf("%s has %d used of %d", id, used, room)
				}
			}
		}
	}()
	wg.Wait()
	<-over
	for _, id := range uuids {
		if used := c.used(id); used != room {
			t.Errorf("%s has %d used of %d", id, used, room)
		}
		if p, list, err := c.store.ProviderAllocations(t.Context(), id); err != nil || len(list) != room || p.Generation != room+1 {
			t.Errorf("%s has %d allocations and generation %d (%v)", id, len(list), p.Generation, err)
		}
	}
	if result := h.check(room); result != porcupine.Ok {
		t.Errorf("the history of %d answers is %s: no order of the claims explains it", len(h.operations), result)
	}
	if err := c.schedule(uuid.NewString(), rand.New(rand.NewPCG(2, 2)), newHistory(), 0); err == nil {
		t.Error("one claim more than there is room for was let through")
	}
}

// schedule claims one VCPU for a consumer, wherever there is room.
func (c *cloud) schedule(consumer string, random *rand.Rand, h *history, client int) error {
	for {
		status, body := c.ask(http.MethodGet, "/allocation_candidates?resources=VCPU:1&limit=1000", "")
		var found struct {
			Requests []struct {
				Allocations map[string]json.RawMessage `json:"allocations"`
			} `json:"allocation_requests"`
		}
		if err := json.Unmarshal([]byte(body), &found); err != nil || status != http.StatusOK {
			return fmt.Errorf("candidates: %d %s (%v)", status, body, err)
		}
		if len(found.Requests) == 0 {
			return fmt.Errorf("no candidates for %s", consumer)
		}
		host := slices.Collect(maps.Keys(found.Requests[random.IntN(len(found.Requests))].Allocations))[0]
		claim := func() claimAnswer {
			status, body = c.ask(http.MethodPut, "/allocations/"+consumer, `{"allocations": {"`+host+`": {"resources": {"VCPU": 1}}},
			"project_id": "p", "user_id": "u", "consumer_generation": null, "consumer_type": "INSTANCE"}`)
			return claimAnswer{ok: status == http.StatusNoContent}
		}
		h.record(client, claim, claimInput{host: host})
		switch {
		case status == http.StatusNoContent:
			return nil
		case status != http.StatusConflict || !strings.Contains(body, "exceed the capacity"):
			return fmt.Errorf("claim: %d %s", status, body)
		}
	}
}

func (c *cloud) ask(method, path, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Auth-Token", "nova")
	r.Header.Set("OpenStack-API-Version", "placement 1.39")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.service.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (c *cloud) used(provider string) int64 {
	_, body := c.ask(http.MethodGet, "/resource_providers/"+provider+"/usages", "")
	var found struct {
		Usages map[string]int64 `json:"usages"`
	}
	if err := json.Unmarshal([]byte(body), &found); err != nil {
		return -1
	}
	return found.Usages["VCPU"]
}
