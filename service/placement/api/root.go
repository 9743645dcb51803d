package api

import (
	"context"
	"time"

	"kilonova/internal/rest"
)

type versionDocument struct {
	ID         string `json:"id"`
	MaxVersion string `json:"max_version"`
	MinVersion string `json:"min_version"`
	Status     string `json:"status"`
	Links      []link `json:"links"`
}

func (a *api) root(_ context.Context, r *rest.Request) (*rest.Response, error) {
	lowest, highest := versions[0].String(), versions[len(versions)-1].String()
	body := map[string]any{"versions": []versionDocument{{
		// The link says "here", as upstream has it.
		ID: "v" + lowest, MinVersion: lowest, MaxVersion: highest, Status: "CURRENT", Links: []link{{"self", ""}},
	}}}
	return a.fresh(r, rest.OK(body), time.Time{}), nil
}
