package cloud

import (
	"fmt"
	"testing"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// Whatever a user writes into a server, lists of servers stay readable: a member
// with control characters is refused, or shown as it was written.
func TestOddTextsLeaveListsReadable(t *testing.T) {
	each(t, func(t *testing.T, c *cloud) {
		image, private := imageID(t, c.demo), networkID(t, c.demo, "private")
		admin := *c.admin.compute
		admin.Microversion = "2.90"
		taken := 0
		for _, odd := range []string{"\x1f", "\x00", "\x1e\x1f", "\x7f", "\u0085", "\u2028", "\n", "\\u001f", "\""} {
			for _, member := range []string{"name", "description", "user_data", "metadata", "key_name", "hostname", "availability_zone", "tags", "accessIPv4", "adminPass"} {
				text := "aGFs" + odd + "bG8="
				server := object{"name": "odd", "flavorRef": "1", "imageRef": image, "networks": []object{{"uuid": private}}, member: text}
				switch member {
				case "metadata":
					server[member] = object{"key": text}
				case "tags":
					server[member] = []string{text}
				}
				var made struct{ Server struct{ ID string } }
				err := c.send(t, &admin, "POST", "servers", object{"server": server}, &made)
				if err != nil {
					wantCode(t, fmt.Sprintf("%s %q", member, odd), err, 400)
				} else {
					taken++
				}
				pages, err := servers.List(&admin, servers.ListOpts{}).AllPages(t.Context())
				if err != nil {
					t.Fatalf("after a server whose %s has %q no list can be read: %v", member, odd, err)
				}
				all, err := servers.ExtractServers(pages)
				if err != nil {
					t.Fatal(err)
				}
				if made.Server.ID == "" {
					continue
				}
				for _, s := range all {
					if s.ID == made.Server.ID && (member == "name" && s.Name != text || member == "metadata" && s.Metadata["key"] != text) {
						t.Errorf("%s %q is shown as %q and %q", member, odd, s.Name, s.Metadata["key"])
					}
				}
				goneServer(t, c.admin, made.Server.ID)
			}
		}
		if taken == 0 {
			t.Error("nothing was taken")
		}
	})
}
