package api

import (
	"context"
	"encoding/json"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

// blockMigration is whether disks are copied: a boolean, or since 2.25 "auto".
// Guests here have their disks on their hosts, so that it is always done; what
// is said of it is only checked.
type blockMigration struct{ set, auto bool }

// UnmarshalJSON implements json.Unmarshaler.
func (b *blockMigration) UnmarshalJSON(data []byte) error {
	b.set = true
	if b.auto = string(data) == `"auto"`; b.auto {
		return nil
	}
	var yes rest.Bool
	return json.Unmarshal(data, &yes)
}

func (a *api) migrateLive(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		Live struct {
			Host       rest.Opt[string] `json:"host" check:"null match=hostname len=0..255"`
			Block      blockMigration   `json:"block_migration"`
			OverCommit *rest.Bool       `json:"disk_over_commit" mv:"-2.24"`
			Force      rest.Bool        `json:"force" mv:"2.30-2.67"`
		} `json:"os-migrateLive" check:"required"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	b := body.Live
	missing := ""
	switch {
	case !b.Block.set:
		missing = "block_migration"
	case !b.Host.Set:
		missing = "host"
	case b.OverCommit == nil && !r.Version.AtLeast("2.25"):
		missing = "disk_over_commit"
	case b.Block.auto && !r.Version.AtLeast("2.25"):
		return nil, fault.Invalidf("Invalid input for field/attribute block_migration. Value: auto. It is not of type 'boolean'")
	case !b.Host.Null && strings.TrimSpace(b.Host.V) == "":
		return nil, fault.Invalidf("Invalid input for field/attribute host. Value: %s. It is too short", b.Host.V)
	case bool(b.Force) && b.Host.V == "":
		return nil, fault.Invalidf("Can't force to a non-provided destination")
	}
	if missing != "" {
		return nil, fault.Invalidf("Invalid input for field/attribute os-migrateLive. '%s' is a required property", missing)
	}
	ask := control.LiveMigrate{Host: b.Host.V, Forced: b.Host.V != "" && (bool(b.Force) || !r.Version.AtLeast("2.30")), Checked: !r.Version.AtLeast("2.34")}
	return rest.Accepted(nil), a.control.LiveMigrateServer(ctx, r.Path("id"), ask)
}

func (a *api) abortMigration(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	number, err := migrationNumber(r)
	if err != nil {
		return nil, err
	}
	return rest.Accepted(nil), a.control.AbortLiveMigration(ctx, r.Path("id"), number, r.Version.AtLeast("2.65"))
}

func (a *api) completeMigration(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	var body struct {
		None *struct{} `json:"force_complete" check:"null"`
	}
	if err := r.Decode(&body); err != nil {
		return nil, err
	}
	if body.None != nil {
		return nil, notNull("force_complete")
	}
	number, err := migrationNumber(r)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err) // as every migration that is not found here
	}
	return rest.Accepted(nil), a.control.CompleteLiveMigration(ctx, r.Path("id"), number)
}
