package cloud

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/diagnostics"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/remoteconsoles"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gorilla/websocket"
)

// greeting opens a console's WebSocket and reads the first that it says.
func greeting(t *testing.T, address string) (string, int) {
	t.Helper()
	conn, resp, err := websocket.DefaultDialer.DialContext(t.Context(), address, nil)
	if err != nil {
		if resp == nil {
			t.Fatal(err)
		}
		return "", resp.StatusCode
	}
	defer conn.Close()
	_, data, err := conn.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	return string(data), resp.StatusCode
}

func TestConsoles(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		hostsUp(t, c)
		u := c.demo
		s := boot(t, c, u, "looked at")
		console, err := remoteconsoles.Create(t.Context(), u.at("2.6"), s.ID, remoteconsoles.CreateOpts{Protocol: "vnc", Type: "novnc"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		page, err := url.Parse(console.URL)
		if err != nil {
			t.Fatal(err)
		}
		socket := "ws://" + page.Host + "/" + page.Query().Get("path")
		if text, _ := greeting(t, socket); text != "RFB 003.008\n" {
			t.Errorf("the screen says %q", text)
		}
		if _, status := greeting(t, strings.Replace(socket, "token=", "token=bad", 1)); status != http.StatusForbidden {
			t.Errorf("a wrong token: %d", status)
		}
		serial, err := remoteconsoles.Create(t.Context(), u.at("2.6"), s.ID, remoteconsoles.CreateOpts{Protocol: "serial", Type: "serial"}).Extract()
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := greeting(t, serial.URL); !strings.Contains(text, "login:") {
			t.Errorf("the serial port says %q", text)
		}
		_, err = remoteconsoles.Create(t.Context(), u.at("2.8"), s.ID, remoteconsoles.CreateOpts{Protocol: "mks", Type: "webmks"}).Extract()
		wantCode(t, "a console that the hypervisor does not have", err, http.StatusBadRequest)
		_, token, _ := strings.Cut(socket, "token=")
		var out struct {
			Console struct {
				Host   string
				Port   int
				Server string `json:"instance_uuid"`
			}
		}
		admin := c.admin.at("2.31")
		if _, err := admin.Get(t.Context(), admin.ServiceURL("os-console-auth-tokens", token), &out, nil); err != nil || out.Console.Server != s.ID || out.Console.Port == 0 {
			t.Errorf("%+v, %v", out, err)
		}
		counts, err := diagnostics.Get(t.Context(), c.admin.compute, s.ID).Extract()
		if err != nil || counts["num_cpus"] != float64(1) || counts["state"] != "running" {
			t.Errorf("%v, %v", counts, err)
		}
		_, err = diagnostics.Get(t.Context(), u.compute, s.ID).Extract()
		wantCode(t, "a user asks for diagnostics", err, http.StatusForbidden)
		if err := servers.Stop(t.Context(), u.compute, s.ID).ExtractErr(); err != nil {
			t.Fatal(err)
		}
		idle(t, u, s.ID, "SHUTOFF")
		_, err = remoteconsoles.Create(t.Context(), u.at("2.6"), s.ID, remoteconsoles.CreateOpts{Protocol: "vnc", Type: "novnc"}).Extract()
		wantCode(t, "the console of a stopped server", err, http.StatusConflict)
		_, err = diagnostics.Get(t.Context(), c.admin.compute, s.ID).Extract()
		wantCode(t, "diagnostics of a stopped server", err, http.StatusConflict)
	})
}
