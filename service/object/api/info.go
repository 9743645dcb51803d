package api

import (
	"context"
	"io"
	"strconv"

	"kilonova/internal/rest"
	"kilonova/service/object/control"
)

const crossDomain = `<?xml version="1.0"?>
<!DOCTYPE cross-domain-policy SYSTEM "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd" >
<cross-domain-policy>
<allow-access-from domain="*" secure="false" />
</cross-domain-policy>`

// info answers GET /info, by which clients find out what they may use.
func (a *api) info(context.Context, *rest.Request) (*rest.Response, error) {
	type swift struct {
		control.Constraints
		Version      string           `json:"version"`
		StrictCORS   bool             `json:"strict_cors_mode"`
		Policies     []map[string]any `json:"policies"`
		AllowAccount bool             `json:"allow_account_management"`
		Autocreate   bool             `json:"account_autocreate"`
		ValidAPI     []string         `json:"valid_api_versions"`
		ExtraHeaders int              `json:"extra_header_count"`
	}
	empty := map[string]any{}
	return rest.OK(map[string]any{
		"swift": swift{Constraints: a.o.Constraints, Version: "2.30.0", StrictCORS: true, Autocreate: true, AllowAccount: true, ValidAPI: []string{"v1"},
			Policies: []map[string]any{{"name": policyName, "default": true, "aliases": policyName}}},
		"account_quotas": empty, "container_quotas": empty, "crossdomain": empty, "staticweb": empty, "formpost": map[string]any{"allowed_digests": a.o.TempURL.Digests},
		"keystoneauth":     empty,
		"tempurl":          map[string]any{"methods": a.o.TempURL.Methods, "allowed_digests": a.o.TempURL.Digests, "incoming_allow_headers": []string{}, "incoming_remove_headers": []string{"x-timestamp"}, "outgoing_allow_headers": []string{"x-object-meta-public-*"}, "outgoing_remove_headers": []string{"x-object-meta-*"}},
		"slo":              map[string]any{"max_manifest_segments": a.o.SLO.MaxSegments, "max_manifest_size": a.o.SLO.MaxSize, "min_segment_size": 1, "yield_frequency": 10, "allow_async_delete": false},
		"dlo":              map[string]any{"max_segments": 100000},
		"versioned_writes": map[string]any{"allowed_flags": []string{"x-versions-location", "x-history-location"}},
		"bulk_delete":      map[string]any{"max_deletes_per_request": a.o.Bulk.MaxDeletes, "max_failed_deletes": a.o.Bulk.MaxFailed},
		"bulk_upload":      map[string]any{"max_containers_per_extraction": a.o.Bulk.MaxContainers, "max_failed_extractions": a.o.Bulk.MaxFailed},
		"s3api":            map[string]any{"version": "2.30.0", "max_bucket_listing": 1000, "max_parts_listing": 1000, "max_upload_part_num": 10000, "max_multi_delete_objects": 1000, "allow_multipart_uploads": true, "min_segment_size": 5 << 20, "s3_acl": false},
	}), nil
}

// policyName is the one storage policy's.
const policyName = "Policy-0"

// bytesOf is an answer that is in memory already.
func bytesOf(status int, mediaType string, data []byte) *rest.Response {
	return (&rest.Response{Status: status, Stream: func(_ context.Context, w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}).With("Content-Type", mediaType).With("Content-Length", strconv.Itoa(len(data)))
}
