package rest

import "testing"

func TestAddressChecks(t *testing.T) {
	for _, c := range []struct {
		text       string
		ip, v4, v6 bool
	}{
		{"192.0.2.1", true, true, false},
		{"2001:db8::1", true, false, true},
		{"0000:0000:0000:0000:0000:babe:220.12.22.2", true, false, true},
		{"fe80::1%eth0", false, false, false},
		{"192.0.2", false, false, false},
		{"192.0.2.1/24", false, false, false},
	} {
		var body struct {
			IP string `json:"ip" check:"ip"`
		}
		var four struct {
			IP string `json:"ip" check:"ipv4"`
		}
		var six struct {
			IP string `json:"ip" check:"ipv6"`
		}
		body.IP, four.IP, six.IP = c.text, c.text, c.text
		for name, got := range map[string][2]bool{"ip": {Check(Version{}, &body) == nil, c.ip}, "ipv4": {Check(Version{}, &four) == nil, c.v4},
			"ipv6": {Check(Version{}, &six) == nil, c.v6}} {
			if got[0] != got[1] {
				t.Errorf("%s as %s: %t, want %t", c.text, name, got[0], got[1])
			}
		}
	}
}

func TestAbsentListsAreNotTooShort(t *testing.T) {
	type body struct {
		List []string          `json:"list" check:"len=1..1"`
		Map  map[string]string `json:"map" check:"len=1..1"`
	}
	for text, ok := range map[string]bool{`{}`: true, `{"list": ["a"], "map": {"a": "b"}}`: true, `{"list": []}`: false, `{"map": {}}`: false, `{"list": ["a", "b"]}`: false} {
		if err := Decode([]byte(text), Version{}, true, &body{}); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}
