package agent

import (
	"cmp"
	"context"
	"fmt"

	"kilonova/service/compute"
	"kilonova/service/compute/metadata"
)

// Drive says how config drives are made.
type Drive struct {
	Format string // [DEFAULT] config_drive_format; "" is ISO 9660
	Domain string // [api] dhcp_domain
	Vendor *metadata.Vendor
}

// make returns a server's config drive.
func (d *Drive) make(ctx context.Context, s *compute.Server) ([]byte, error) {
	inst, err := metadata.Of(s, s.AvailabilityZone, d.Domain)
	if err != nil {
		return nil, err
	}
	d.Vendor.Static(inst)
	if err := d.Vendor.Dynamic(ctx, inst); err != nil {
		return nil, err
	}
	var files []metadata.File
	for _, f := range s.Files {
		files = append(files, metadata.File{Path: f.Path, Data: f.Data})
	}
	image, err := metadata.ConfigDrive(inst, cmp.Or(d.Format, metadata.ISO9660), files...)
	if err != nil {
		return nil, fmt.Errorf("config drive of %s: %w", s.ID, err)
	}
	return image, nil
}
