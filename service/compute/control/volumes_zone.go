package control

import (
	"context"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// zoneOfVolumes is the zone of a new server with volumes that are there, of which it
// wants zone, "" any: where these must be in the server's zone, theirs.
func (c *Control) zoneOfVolumes(ctx context.Context, zone string, disks []NewDisk) (string, error) {
	var theirs []string
	for _, d := range disks {
		if !d.Local && d.Source == "volume" && !slices.Contains(theirs, d.zone) {
			theirs = append(theirs, d.zone)
		}
	}
	if !c.Options.VolumesInZone || len(theirs) == 0 {
		return zone, nil
	}
	if len(theirs) > 1 {
		return "", fault.Invalidf("Volumes are in different availability zones: %s", strings.Join(theirs, ","))
	}
	if zone == "" && theirs[0] == c.Options.DefaultZone { // that of all hosts without another: upstream asks for none then
		return "", nil
	}
	if zone != "" && zone != theirs[0] {
		return "", fault.Invalidf("Server and volumes are not in the same availability zone. Server is in: %s. Volumes are in: %s", zone, theirs[0])
	}
	known, err := c.zoneExists(ctx, theirs[0])
	if err == nil && !known {
		err = fault.Invalidf("The requested availability zone is not available: the volumes are in %s, where there are no hosts.", theirs[0])
	}
	return theirs[0], err
}

// checkVolumeZone refuses a volume of another zone for a server, where both must be
// in the same.
func (c *Control) checkVolumeZone(ctx context.Context, s *compute.Server, v compute.Volume) error {
	if !c.Options.VolumesInZone {
		return nil
	}
	zone := s.AvailabilityZone
	if s.Host != "" {
		var err error
		if zone, err = c.zoneOf(ctx, s.Host); err != nil {
			return err
		}
	}
	if zone != v.Zone {
		return fault.Invalidf("Invalid volume: Instance %s and volume %s are not in the same availability_zone. Instance is in %s. Volume is in %s", s.ID, v.ID, zone, v.Zone)
	}
	return nil
}
