package cloud

import (
	"net/http"
	"slices"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/tags"
)

// at is a compute client that speaks a microversion.
func (u *user) at(version string) *gophercloud.ServiceClient {
	c := *u.compute
	c.Microversion = version
	return &c
}

func wantCode(t *testing.T, what string, err error, code int) {
	t.Helper()
	if !gophercloud.ResponseCodeIs(err, code) {
		t.Errorf("%s: got %v, want %d", what, err, code)
	}
}

// act sends an action that gophercloud has no words for.
func act(t *testing.T, c *gophercloud.ServiceClient, id string, body, answer any) error {
	t.Helper()
	_, err := c.Post(t.Context(), c.ServiceURL("servers", id, "action"), body, answer, &gophercloud.RequestOpts{OkCodes: []int{200, 202}})
	return err
}

func TestLock(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "locked")
		if err := act(t, u.at("2.73"), s.ID, map[string]any{"lock": map[string]any{"locked_reason": "because"}}, nil); err != nil {
			t.Fatal(err)
		}
		got, err := servers.Get(t.Context(), u.at("2.73"), s.ID).Extract()
		if err != nil || got.Locked == nil || !*got.Locked {
			t.Fatalf("%+v, %v", got, err)
		}
		wantCode(t, "stop of a locked server", servers.Stop(t.Context(), u.compute, s.ID).ExtractErr(), http.StatusConflict)
		wantCode(t, "delete of a locked server", servers.Delete(t.Context(), u.compute, s.ID).ExtractErr(), http.StatusConflict)
		if err := servers.Stop(t.Context(), c.admin.compute, s.ID).ExtractErr(); err != nil {
			t.Errorf("an administrator stops a locked server: %v", err)
		}
		awaitStatus(t, u, s.ID, "SHUTOFF")
		if err := servers.Unlock(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if err := servers.Lock(t.Context(), c.admin.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "the owner unlocks what an administrator has locked", servers.Unlock(t.Context(), u.compute, s.ID).ExtractErr(), http.StatusForbidden)
		if err := servers.Unlock(t.Context(), c.admin.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		if err := servers.Start(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, u, s.ID, "ACTIVE")
		wantCode(t, "the owner resets the state", servers.ResetState(t.Context(), u.compute, s.ID, servers.StateError).ExtractErr(), http.StatusForbidden)
		if err := servers.ResetState(t.Context(), c.admin.compute, s.ID, servers.StateError).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, u, s.ID, "ERROR")
		if err := servers.ResetState(t.Context(), c.admin.compute, s.ID, servers.StateActive).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, u, s.ID, "ACTIVE")
		if err := servers.InjectNetworkInfo(t.Context(), c.admin.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTags(t *testing.T) {
	c := one(t)
	hostsUp(t, c)
	u := c.demo
	client := u.at("2.52")
	s, err := servers.Create(t.Context(), client, servers.CreateOpts{Name: "tagged", FlavorRef: "1", ImageRef: imageID(t, u), Networks: "none", Tags: []string{"red", "blue"}}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, u, s.ID, "ACTIVE")
	if err := tags.Add(t.Context(), client, s.ID, "green").ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if err := tags.Add(t.Context(), client, s.ID, "green").ExtractErr(); err != nil { // again: 204
		t.Fatal(err)
	}
	wantCode(t, "a tag with a comma", tags.Add(t.Context(), client, s.ID, "a,b").ExtractErr(), http.StatusBadRequest)
	wantCode(t, "a tag that is not there", tags.Delete(t.Context(), client, s.ID, "black").ExtractErr(), http.StatusNotFound)
	if err := tags.Delete(t.Context(), client, s.ID, "red").ExtractErr(); err != nil {
		t.Fatal(err)
	}
	all, err := tags.List(t.Context(), client, s.ID).Extract()
	if err != nil || !slices.Equal(all, []string{"blue", "green"}) {
		t.Fatalf("%q, %v", all, err)
	}
	for query, want := range map[servers.ListOpts]int{{Tags: "blue,green"}: 1, {Tags: "blue,red"}: 0, {TagsAny: "red,green"}: 1, {NotTags: "blue,green"}: 0,
		{NotTagsAny: "black"}: 1, {NotTagsAny: "blue"}: 0} {
		pages, err := servers.List(client, query).AllPages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if list, err := servers.ExtractServers(pages); err != nil || len(list) != want {
			t.Errorf("%+v: %d servers, want %d, %v", query, len(list), want, err)
		}
	}
	if err := tags.DeleteAll(t.Context(), client, s.ID).ExtractErr(); err != nil {
		t.Fatal(err)
	}
	if yes, err := tags.Check(t.Context(), client, s.ID, "blue").Extract(); err != nil || yes {
		t.Fatal(yes, err)
	}
}
