package cloud

import (
	"maps"
	"testing"

	"kilonova/internal/peer"
	"kilonova/stack"
)

// TestPeersOfTheCatalog has the parts of a cloud that are told of the identity
// service alone find the others by its catalog, as users of other names.
func TestPeersOfTheCatalog(t *testing.T) {
	c := splitWith(t, func(c *stack.Config) {
		c.AuthToken = peer.Credentials{Username: "compute-user", Password: "of-the-operators"}
		c.Network.AuthToken.Username = "network-user"
		if c.Bus.URL != "" || c.Roles != "identity,placement" {
			c.Peers = maps.Clone(c.Peers)
			for _, listed := range []string{"image", "network", "placement", "compute"} {
				delete(c.Peers, listed)
			}
		}
	})
	hostsUp(t, c)
	s := boot(t, c, c.demo, "found")
	awaitStatus(t, c.demo, s.ID, "ACTIVE")
}
