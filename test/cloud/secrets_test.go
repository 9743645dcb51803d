package cloud

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/keypairs"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/remoteconsoles"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"

	"kilonova/stack"
)

// kept is a log to be read while it is written.
type kept struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.Write(p)
}

func (k *kept) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text.String()
}

// No secret of operators, users and guests is in the log of a whole cloud, however
// much that says: OSSA-2020-001, OSSA-2017-002, OSSA-2017-001, OSSA-2015-008,
// OSSA-2014-036, OSSA-2014-021, OSSA-2014-004.
func TestNoSecretIsInTheLog(t *testing.T) {
	var log kept
	conf := base(t)
	conf.Secrets = stack.Secrets{AdminPassword: "secret-of-admin", DemoPassword: "secret-of-demo", NovaPassword: "secret-of-nova", NeutronPass: "secret-of-neutron",
		GlancePass: "secret-of-glance", PlacementPass: "secret-of-placement", SwiftPass: "secret-of-swift", MetadataSecret: "secret-of-metadata", BusToken: "secret-of-bus"}
	st, err := stack.Start(t.Context(), conf, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := ready(t, conf, st.URL(), st)
	hostsUp(t, c)
	u := c.demo
	secrets := map[string]string{"what begins every secret here": "secret-of", "the user's token": u.provider.Token(), "the administrator's token": c.admin.provider.Token()}

	// Of users.
	v := newVictim(t, c, "victim")
	secrets["another user's token"] = v.token
	identity := c.url + "/identity/v3"
	plain(t, "", "POST", identity+"/auth/tokens", map[string]any{"auth": map[string]any{"identity": map[string]any{"methods": []string{"password"},
		"password": map[string]any{"user": map[string]any{"id": v.user, "password": "secret-of-somebody-else"}}}}})
	plain(t, "secret-of-nobody", "GET", identity+"/users", nil)
	plain(t, v.token, "POST", identity+"/users/"+v.user+"/password", map[string]any{"user": map[string]any{"original_password": "first", "password": "secret-of-tomorrow"}})
	v.token = v.login(map[string]any{"methods": []string{"password"}, "password": map[string]any{"user": map[string]any{"id": v.user, "password": "secret-of-tomorrow"}}},
		map[string]any{"project": map[string]any{"id": v.project}})
	_, cred := plain(t, v.token, "POST", identity+"/users/"+v.user+"/application_credentials", map[string]any{"application_credential": map[string]any{"name": "x"}})
	secrets["an application credential"], _ = cred["application_credential"].(map[string]any)["secret"].(string)
	_, key := plain(t, v.token, "POST", identity+"/users/"+v.user+"/credentials/OS-EC2", map[string]any{"tenant_id": v.project})
	secrets["an EC2 key"], _ = key["credential"].(map[string]any)["secret"].(string)
	plain(t, v.token, "POST", identity+"/credentials", map[string]any{"credential": map[string]any{"user_id": v.user, "type": "cert", "blob": "secret-of-the-safe"}})

	// Of guests.
	pair, err := keypairs.Create(t.Context(), u.at("2.1"), keypairs.CreateOpts{Name: "pair"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	secrets["a private key"] = strings.Split(pair.PrivateKey, "\n")[1]
	userData := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\necho secret-of-user-data"))
	secrets["user data"] = userData
	server, err := servers.Create(t.Context(), u.at("2.56"), keypairs.CreateOptsExt{CreateOptsBuilder: servers.CreateOpts{Name: "guest", FlavorRef: "1", ImageRef: imageID(t, u), AdminPass: "secret-of-root",
		UserData: []byte(userData), Networks: []servers.Network{{UUID: networkID(t, u, "private")}}}, KeyName: "pair"}, nil).Extract()
	if err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, u, server.ID, "ACTIVE")
	console, err := remoteconsoles.Create(t.Context(), u.at("2.6"), server.ID, remoteconsoles.CreateOpts{Protocol: "vnc", Type: "novnc"}).Extract()
	if err != nil {
		t.Fatal(err)
	}
	page, err := url.Parse(console.URL)
	if err != nil {
		t.Fatal(err)
	}
	greeting(t, "ws://"+page.Host+"/"+page.Query().Get("path"))
	inner, err := url.Parse(page.Query().Get("path"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["a console's token"] = inner.Query().Get("token")
	resp, err := http.Get(console.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := servers.ChangeAdminPassword(t.Context(), u.compute, server.ID, "secret-of-a-new-root").ExtractErr(); err != nil {
		t.Log("changing a guest's password:", err) // what a fake guest can is not the matter here
	}

	// Of images: where data comes from may need a password.
	_, image := plain(t, u.provider.Token(), "POST", u.image.ServiceURL("images"), map[string]any{"name": "far", "disk_format": "raw", "container_format": "bare"})
	id, _ := image["id"].(string)
	plain(t, u.provider.Token(), "POST", u.image.ServiceURL("images", id, "import"), map[string]any{"method": map[string]any{"name": "web-download", "uri": "http://ann:secret-of-ann@127.0.0.1:9/x"}})

	goneServer(t, u, server.ID)
	st.Close()
	text := log.String()
	if !strings.Contains(text, "/v3/auth/tokens") || !strings.Contains(text, server.ID) {
		t.Fatalf("little was logged: %.2000s", text)
	}
	for what, secret := range secrets {
		if len(secret) < 8 {
			t.Errorf("%s was not looked for: %q", what, secret)
			continue
		}
		if at := strings.Index(text, secret); at >= 0 {
			from, to := max(at-300, 0), min(at+len(secret)+100, len(text))
			t.Errorf("%s is in the log: …%s…", what, text[from:to])
		}
	}
}
