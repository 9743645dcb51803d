package store

import (
	"database/sql/driver"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// interfaces is the column networks: JSON, which every list of servers reads in
// every row. What this package has written itself it reads at a third of
// encoding/json's cost; whatever else stands there is left to that.
type interfaces []compute.Interface

// Scan implements sql.Scanner.
func (n *interfaces) Scan(src any) (err error) {
	text, ok := src.(string)
	if raw, is := src.([]byte); is {
		text, ok = string(raw), true
	}
	if !ok && src != nil {
		return fmt.Errorf("%T is no JSON", src)
	}
	*n, err = readColumn(text, (*reader).interfaces)
	return err
}

// readColumn reads JSON by hand, and by encoding/json what that does not
// understand, or if byHand is nil. "" and null are the zero value.
func readColumn[T any](text string, byHand func(*reader) T) (v T, err error) {
	if text == "" || text == "null" {
		return v, nil
	}
	if byHand != nil {
		r := reader{rest: text}
		if v = byHand(&r); !r.failed && r.rest == "" {
			return v, nil
		}
	}
	var whole db.JSON[T]
	err = whole.Scan(text)
	return whole.V, err
}

// Value implements driver.Valuer.
func (n interfaces) Value() (driver.Value, error) { return db.AsJSON([]compute.Interface(n)).Value() }

// reader reads JSON without white space and without escapes. What it does not
// understand it fails at.
type reader struct {
	rest   string
	failed bool
}

func (r *reader) take(c byte) bool {
	if r.rest == "" || r.rest[0] != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) must(c byte) {
	if !r.take(c) {
		r.fail()
	}
}

func (r *reader) fail() { r.failed, r.rest = true, "" }

func (r *reader) text() string {
	r.must('"')
	end := strings.IndexByte(r.rest, '"')
	if end < 0 || strings.IndexByte(r.rest[:end], '\\') >= 0 {
		r.fail()
		return ""
	}
	text := r.rest[:end]
	r.rest = r.rest[end+1:]
	return text
}

func (r *reader) number() int {
	end := 0
	for end < len(r.rest) && (r.rest[end] >= '0' && r.rest[end] <= '9') {
		end++
	}
	n, err := strconv.Atoi(r.rest[:end])
	if err != nil {
		r.fail()
		return 0
	}
	r.rest = r.rest[end:]
	return n
}

func (r *reader) truth() bool {
	if rest, ok := strings.CutPrefix(r.rest, "true"); ok {
		r.rest = rest
		return true
	}
	rest, ok := strings.CutPrefix(r.rest, "false")
	if r.rest = rest; !ok {
		r.fail()
	}
	return false
}

func (r *reader) address() netip.Addr {
	text := r.text()
	if text == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		r.fail()
	}
	return a
}

// object calls member for each key, which has to read its value.
func (r *reader) object(member func(key string)) {
	r.must('{')
	if r.take('}') {
		return
	}
	for !r.failed {
		key := r.text()
		r.must(':')
		member(key)
		if !r.take(',') {
			break
		}
	}
	r.must('}')
}

// list reads a list of what one reads; null is no list.
func list[T any](r *reader, one func() T) []T {
	if rest, ok := strings.CutPrefix(r.rest, "null"); ok {
		r.rest = rest
		return nil
	}
	r.must('[')
	all := []T{}
	if r.take(']') {
		return all
	}
	for !r.failed {
		all = append(all, one())
		if !r.take(',') {
			break
		}
	}
	r.must(']')
	return all
}

// texts reads an object of texts.
func (r *reader) texts() map[string]string {
	all := map[string]string{}
	r.object(func(key string) { all[key] = r.text() })
	return all
}

func (r *reader) interfaces() []compute.Interface {
	return list(r, func() (n compute.Interface) {
		r.object(func(key string) {
			switch key {
			case "port_id":
				n.PortID = r.text()
			case "mac":
				n.MAC = r.text()
			case "network_id":
				n.NetworkID = r.text()
			case "network_name":
				n.NetworkName = r.text()
			case "mtu":
				n.MTU = r.number()
			case "tag":
				n.Tag = r.text()
			case "active":
				n.Active = r.truth()
			case "owned":
				n.Owned = r.truth()
			case "groups":
				n.Groups = list(r, r.text)
			case "fixed_ips":
				n.FixedIPs = list(r, r.fixedIP)
			default:
				r.fail()
			}
		})
		return n
	})
}

func (r *reader) fixedIP() (f compute.FixedIP) {
	r.object(func(key string) {
		switch key {
		case "address":
			f.Address = r.address()
		case "subnet_id":
			f.SubnetID = r.text()
		case "prefix":
			f.Prefix = r.number()
		case "gateway":
			f.Gateway = r.address()
		case "dns":
			f.DNS = list(r, r.address)
		case "dhcp":
			f.DHCP = r.truth()
		case "ipv6_mode":
			f.IPv6Mode = r.text()
		case "routes":
			f.Routes = list(r, r.route)
		case "floating":
			f.Floating = list(r, r.address)
		default:
			r.fail()
		}
	})
	return f
}

func (r *reader) route() (h compute.HostRoute) {
	r.object(func(key string) {
		switch key {
		case "destination":
			var err error
			if h.Destination, err = netip.ParsePrefix(r.text()); err != nil {
				r.fail()
			}
		case "nexthop":
			h.NextHop = r.address()
		default:
			r.fail()
		}
	})
	return h
}
