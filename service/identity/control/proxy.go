package control

import "net/netip"

// TrustsProxy reports whether a request from an address ("ip:port") comes from a
// web server that is believed who its users are.
func (c *Control) TrustsProxy(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	for _, p := range c.proxies {
		if p.Contains(at.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// ProxyHeaders says how a trusted proxy tells who its user is: the header with
// the name, and the prefix of the headers that belong to an assertion.
func (c *Control) ProxyHeaders() (user, prefix string) {
	return c.options.Federation.RemoteUserHeader, c.options.Federation.AssertionPrefix
}
