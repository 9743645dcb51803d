package remote

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"kilonova/internal/fault"
	"kilonova/internal/peer"
	"kilonova/service/compute"
)

// Shares is the Shared File Systems service, at the version that knows locks of
// access rules (2.82). Its root ends with the version, /v2.
type Shares struct{ Client *peer.Client }

var _ compute.FileShares = (*Shares)(nil)

const shareVersion = "2.82"

// do sends a call in both forms of naming a version: the service has known its own
// for longer.
func (s *Shares) do(ctx context.Context, asCaller bool, method, path string, in, out any) error {
	return s.Client.Do(ctx, peer.Call{Method: method, Path: path, In: in, Out: out, AsCaller: asCaller, Version: "shared-file-system " + shareVersion,
		Header: http.Header{"X-Openstack-Manila-Api-Version": {shareVersion}}})
}

// Share implements compute.FileShares.
func (s *Shares) Share(ctx context.Context, id string) (compute.FileShare, error) {
	var out struct {
		Share struct {
			ID       string `json:"id"`
			Status   string `json:"status"`
			Protocol string `json:"share_proto"`
		} `json:"share"`
	}
	path := "/shares/" + url.PathEscape(id)
	if err := s.do(ctx, true, http.MethodGet, path, nil, &out); err != nil {
		return compute.FileShare{}, noShare(id, err)
	}
	var exports struct {
		Locations []exportLocation `json:"export_locations"`
	}
	if err := s.do(ctx, true, http.MethodGet, path+"/export_locations", nil, &exports); err != nil {
		return compute.FileShare{}, noShare(id, err)
	}
	share := compute.FileShare{ID: out.Share.ID, Status: out.Share.Status, Protocol: out.Share.Protocol}
	if i := slices.IndexFunc(exports.Locations, func(l exportLocation) bool { return l.Preferred }); i >= 0 {
		share.ExportLocation = exports.Locations[i].Path
	} else if len(exports.Locations) > 0 {
		share.ExportLocation = exports.Locations[0].Path
	}
	return share, nil
}

type exportLocation struct {
	Path      string `json:"path"`
	Preferred bool   `json:"preferred"`
}

func noShare(id string, err error) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return fault.NotFoundf("Share %.64s could not be found.", id)
	}
	return err
}

type accessRule struct {
	ID    string  `json:"id"`
	Type  string  `json:"access_type"`
	To    string  `json:"access_to"`
	State string  `json:"state"`
	Key   *string `json:"access_key"`
}

func (s *Shares) rule(ctx context.Context, id string, who compute.ShareAccess) (accessRule, error) {
	var out struct {
		Rules []accessRule `json:"access_list"`
	}
	if err := s.do(ctx, false, http.MethodGet, "/share-access-rules?"+url.Values{"share_id": {id}}.Encode(), nil, &out); err != nil {
		return accessRule{}, noShare(id, err)
	}
	for _, r := range out.Rules {
		if r.Type == who.Type && r.To == who.To {
			return r, nil
		}
	}
	return accessRule{}, fault.NotFoundf("Share access could not be found for share id %s.", id)
}

// Access implements compute.FileShares.
func (s *Shares) Access(ctx context.Context, id string, who compute.ShareAccess) (compute.ShareAccess, error) {
	r, err := s.rule(ctx, id, who)
	return compute.ShareAccess{Type: r.Type, To: r.To, State: r.State, Key: textOf(r.Key)}, err
}

func (s *Shares) act(ctx context.Context, id string, action object) error {
	return s.do(ctx, false, http.MethodPost, "/shares/"+url.PathEscape(id)+"/action", action, nil)
}

// Allow implements compute.FileShares.
func (s *Shares) Allow(ctx context.Context, id string, who compute.ShareAccess) error {
	err := s.act(ctx, id, object{"allow_access": object{"access_type": who.Type, "access_to": who.To, "access_level": "rw",
		"lock_visibility": true, "lock_deletion": true, "lock_reason": "Lock by nova"}})
	if fault.Is(err, fault.Invalid) { // also when there is such a rule: then it is well
		if _, missing := s.rule(ctx, id, who); missing == nil {
			return nil
		}
		return fault.Wrap(err, fault.Conflict, "Share access could not be granted to share id %s.", id)
	}
	if fault.Is(err, fault.NotFound) {
		return noShare(id, err)
	}
	return err
}

// Deny implements compute.FileShares.
func (s *Shares) Deny(ctx context.Context, id string, who compute.ShareAccess) error {
	r, err := s.rule(ctx, id, who)
	if err == nil {
		err = s.act(ctx, id, object{"deny_access": object{"access_id": r.ID, "unrestrict": true}})
	}
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
