package api

import (
	"bytes"
	"strings"
	"testing"

	"kilonova/internal/rest"
	"kilonova/service/compute"
)

// An action of which nothing has been done yet shows that it has no events, to those
// who may see them: clients wait for the first one.
func TestActionsWithoutEvents(t *testing.T) {
	for _, x := range []struct {
		events *[]eventView
		shown  bool
	}{{nil, false}, {&[]eventView{}, true}} {
		v := viewAction(compute.Action{Action: "detach_interface"})
		v.Events = x.events
		var text bytes.Buffer
		if err := rest.Encode(&text, rest.V("2.72"), v); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), `"events":[]`); got != x.shown {
			t.Errorf("%v: %s", x.events, &text)
		}
	}
}
