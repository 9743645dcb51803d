package control

import (
	"slices"
	"strings"
	"testing"

	"kilonova/service/object"
	"kilonova/service/object/store"
)

// names lists over a slice, as the store does over rows.
func names(t *testing.T, all []string, l Listing) []string {
	t.Helper()
	reads := 0
	got, err := list(l, 10000, func(r store.Range) ([]Entry, error) {
		if reads++; reads > len(all)+2 {
			t.Fatalf("%+v has no end", l)
		}
		var out []Entry
		sorted := slices.Sorted(slices.Values(all))
		if r.Reverse {
			slices.Reverse(sorted)
		}
		for _, n := range sorted {
			if n >= r.From && (r.After == "" || n > r.After) && (r.Until == "" || n < r.Until) && len(out) < r.Limit {
				out = append(out, Entry{Object: &object.Object{Name: n}})
			}
		}
		return out, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range got {
		out = append(out, e.Name())
	}
	return out
}

func TestListings(t *testing.T) {
	all := strings.Fields("a a/b a/b/c a/d a0 b/x b/y c 𐍈/z \U0010FFFF/q")
	for _, tt := range []struct {
		l    Listing
		want string
	}{
		{Listing{Limit: -1}, "a a/b a/b/c a/d a0 b/x b/y c 𐍈/z \U0010FFFF/q"},
		{Listing{Limit: 3}, "a a/b a/b/c"},
		{Listing{Limit: 0}, ""},
		{Listing{Limit: -1, Delimiter: "/"}, "a a/ a0 b/ c 𐍈/ \U0010FFFF/"},
		{Listing{Limit: 2, Delimiter: "/"}, "a a/"},
		{Listing{Limit: 2, Delimiter: "/", Marker: "a/"}, "a0 b/"},
		{Listing{Limit: -1, Delimiter: "/", Marker: "a/b"}, "a0 b/ c 𐍈/ \U0010FFFF/"},
		{Listing{Limit: -1, Delimiter: "/", Prefix: "a/"}, "a/b a/b/ a/d"},
		{Listing{Limit: -1, Prefix: "a/"}, "a/b a/b/c a/d"},
		{Listing{Limit: -1, Prefix: "b", EndMarker: "b/y"}, "b/x"},
		{Listing{Limit: -1, Marker: "a/d", EndMarker: "c"}, "a0 b/x b/y"},
		{Listing{Limit: -1, Reverse: true, Marker: "c", EndMarker: "a0"}, "b/y b/x"},
		{Listing{Limit: -1, Reverse: true, Delimiter: "/"}, "\U0010FFFF/ 𐍈/ c b/ a0 a/ a"},
		{Listing{Limit: 1, Reverse: true, Prefix: "a"}, "a0"},
		{Listing{Limit: -1, Prefix: "nothing"}, ""},
	} {
		if got := strings.Join(names(t, all, tt.l), " "); got != tt.want {
			t.Errorf("%+v: %q, not %q", tt.l, got, tt.want)
		}
	}
}
