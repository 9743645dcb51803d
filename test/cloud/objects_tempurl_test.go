package cloud

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/accounts"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
)

// TestAddressesOfUploadsReadNothing: who has the address of an upload must not write
// a manifest that names the account's other objects, however the header is spelled
// (OSSA-2015-016).
func TestAddressesOfUploadsReadNothing(t *testing.T) {
	c := one(t)
	u := objectStore(t, c.demo)
	if err := accounts.Update(t.Context(), u, accounts.UpdateOpts{TempURLKey: "key"}).Err; err != nil {
		t.Fatal(err)
	}
	if err := containers.Create(t.Context(), u, "box", nil).Err; err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(u.ServiceURL("box", "mine"))
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Now().Add(time.Minute).Unix()
	put := func(header string) int {
		t.Helper()
		mac := hmac.New(sha256.New, []byte("key"))
		fmt.Fprintf(mac, "PUT\n%d\n%s", expires, at.Path)
		address := fmt.Sprintf("%s?temp_url_sig=%s&temp_url_expires=%d", at, hex.EncodeToString(mac.Sum(nil)), expires)
		req, err := http.NewRequestWithContext(t.Context(), "PUT", address, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			req.Header[header] = []string{"box/secret"}
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := put(""); got != 201 {
		t.Fatalf("an upload by its address: %d", got)
	}
	for _, header := range []string{"X-Object-Manifest", "X_Object_Manifest", "x-object_manifest", "X-Copy-From"} {
		if got := put(header); got != 400 {
			t.Errorf("an upload with %s: %d", header, got)
		}
	}
}
