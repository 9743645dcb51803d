package control

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute"
	"kilonova/service/compute/hardware"
)

// requestFilters narrow what Placement is asked for, in upstream's order
// (nova/scheduler/request_filter.py).
var requestFilters = []func(ctx context.Context, c *Control, q *question, s *compute.Server, f *Fleet) error{
	requireTenantAggregate,
	mapZoneToAggregates,
	requireImageType,
	computeStatus,
	isolateAggregates,
	transformImageMetadata,
	accelerators,
	packedVirtqueue,
	routedNetworks,
	remoteManagedPorts,
	ephemeralEncryption,
	virtioSound,
	tpmSecretSecurity,
	ownerNova,
}

// requireTenantAggregate keeps a project to the aggregates made for it
// (limit_tenants_to_placement_aggregate).
func requireTenantAggregate(_ context.Context, c *Control, q *question, s *compute.Server, f *Fleet) error {
	o := &c.Options.Scheduler.Scheduler
	if !o.LimitTenants {
		return nil
	}
	var theirs []string
	for _, a := range f.Aggregates {
		for key, value := range a.Metadata {
			if strings.HasPrefix(key, "filter_tenant_id") && value == s.ProjectID {
				theirs = append(theirs, a.ID)
				break
			}
		}
	}
	if len(theirs) == 0 && o.TenantsNeedAggregate {
		return fault.Conflictf("No hosts available for tenant: no aggregate is made for project %s.", s.ProjectID)
	}
	memberOf(q, theirs)
	return nil
}

// mapZoneToAggregates asks only for the hosts of the server's zone. The default
// zone is of hosts that no aggregate puts into another.
func mapZoneToAggregates(_ context.Context, _ *Control, q *question, s *compute.Server, f *Fleet) error {
	if s.AvailabilityZone == "" {
		return nil
	}
	var zone []string
	for _, a := range f.Aggregates {
		if a.Metadata[zoneKey] == s.AvailabilityZone {
			zone = append(zone, a.ID)
		}
	}
	if s.AvailabilityZone != f.fallback { // which also has hosts without any
		memberOf(q, zone)
	}
	return nil
}

func memberOf(q *question, ids []string) {
	if len(ids) > 0 {
		slices.Sort(ids)
		q.MemberOf = append(q.MemberOf, ids)
	}
}

// requireImageType wants hosts that take the image's format
// (query_placement_for_image_type_support).
func requireImageType(_ context.Context, c *Control, q *question, s *compute.Server, _ *Fleet) error {
	if !c.Options.Scheduler.Scheduler.QueryImageType || s.ImageID == "" {
		return nil
	}
	trait := "COMPUTE_IMAGE_TYPE_" + strings.ToUpper(s.ImageMeta.DiskFormat)
	if hardware.IsStandardTrait(trait) { // Placement knows no other
		q.Required = append(q.Required, trait)
	}
	return nil
}

// computeStatus leaves disabled hosts out.
func computeStatus(_ context.Context, _ *Control, q *question, _ *compute.Server, _ *Fleet) error {
	q.Forbidden = append(q.Forbidden, traitDisabled)
	return nil
}

// isolateAggregates keeps out of aggregates that are for servers with certain
// traits those that do not require them (enable_isolated_aggregate_filtering).
func isolateAggregates(_ context.Context, c *Control, q *question, _ *compute.Server, f *Fleet) error {
	if !c.Options.Scheduler.Scheduler.IsolateAggregates {
		return nil
	}
	required := slices.Clone(q.Required)
	for _, g := range q.Groups {
		required = append(required, g.Required...)
	}
	for _, a := range f.Aggregates {
		for key, value := range a.Metadata {
			trait, ok := strings.CutPrefix(key, "trait:")
			if ok && value == "required" && !slices.Contains(required, trait) {
				q.NotMemberOf = append(q.NotMemberOf, a.ID)
				break
			}
		}
	}
	slices.Sort(q.NotMemberOf)
	return nil
}

// transformImageMetadata wants hosts that can do what the image asks for
// (image_metadata_prefilter).
func transformImageMetadata(_ context.Context, c *Control, q *question, s *compute.Server, _ *Fleet) error {
	if !c.Options.Scheduler.Scheduler.ImageMetadata {
		return nil
	}
	image := hardware.ReadAll(s.ImageMeta.Properties)
	for _, property := range compute.ImageTraitProperties() {
		trait := compute.ImageTrait(property, image[property])
		if hardware.IsStandardTrait(trait) { // Placement knows no other; the filters look at the property itself
			q.Required = append(q.Required, trait)
		}
	}
	return nil
}

func accelerators(_ context.Context, _ *Control, q *question, s *compute.Server, _ *Fleet) error {
	if s.Flavor.ExtraSpecs["accel:device_profile"] != "" {
		q.Required = append(q.Required, "COMPUTE_ACCELERATORS")
	}
	return nil
}

func packedVirtqueue(_ context.Context, _ *Control, q *question, s *compute.Server, _ *Fleet) error {
	if compute.Yes(either(s, "virtio_packed_ring")) {
		q.Required = append(q.Required, "COMPUTE_NET_VIRTIO_PACKED")
	}
	return nil
}

// routedNetworks asks for hosts that are where the segments of the server's
// networks are (query_placement_for_routed_network_aggregates). A network without
// segments is everywhere.
func routedNetworks(ctx context.Context, c *Control, q *question, s *compute.Server, _ *Fleet) error {
	if !c.Options.Scheduler.Scheduler.RoutedNetworks {
		return nil
	}
	for _, w := range s.Wanted {
		segments, err := c.Networks.Segments(ctx, w.NetworkID, w.PortID)
		if err != nil {
			return err
		}
		var near []string
		for _, id := range segments {
			aggregates, err := c.Placement.AggregatesOf(ctx, id)
			if err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
			near = append(near, aggregates...)
		}
		if len(segments) > 0 && len(near) == 0 {
			return fault.Conflictf("Aggregates not found for the network %s.", w.NetworkID)
		}
		memberOf(q, near)
	}
	return nil
}

func remoteManagedPorts(_ context.Context, _ *Control, q *question, s *compute.Server, _ *Fleet) error {
	if slices.ContainsFunc(s.Wanted, func(w compute.NetworkRequest) bool { return w.VNICType == "remote-managed" }) {
		q.Required = append(q.Required, "COMPUTE_REMOTE_MANAGED_PORTS")
	}
	return nil
}

func ephemeralEncryption(_ context.Context, _ *Control, q *question, s *compute.Server, _ *Fleet) error {
	if !compute.Yes(either(s, "ephemeral_encryption")) {
		return nil
	}
	q.Required = append(q.Required, "COMPUTE_EPHEMERAL_ENCRYPTION")
	if format := either(s, "ephemeral_encryption_format"); format != "" {
		q.Required = append(q.Required, "COMPUTE_EPHEMERAL_ENCRYPTION_"+strings.ToUpper(format))
	}
	return nil
}

func virtioSound(_ context.Context, _ *Control, q *question, s *compute.Server, _ *Fleet) error {
	if either(s, "sound_model") == "virtio" {
		q.Required = append(q.Required, "COMPUTE_SOUND_MODEL_VIRTIO")
	}
	return nil
}

// tpmSecretSecurity wants hosts that keep the secret of a TPM as the flavor says, and
// with the user's key otherwise. Images have no say in it.
func tpmSecretSecurity(_ context.Context, _ *Control, q *question, s *compute.Server, _ *Fleet) error {
	if either(s, "tpm_version") != "" {
		security := cmp.Or(s.Flavor.ExtraSpecs["hw:tpm_secret_security"], "user")
		q.Required = append(q.Required, "COMPUTE_SECURITY_TPM_SECRET_SECURITY_"+strings.ToUpper(security))
	}
	return nil
}

// ownerNova wants hosts of compute's own, where others tell Placement of theirs,
// too. Before all hosts that live have been told of so, as after an upgrade,
// nothing is asked.
func ownerNova(_ context.Context, _ *Control, q *question, _ *compute.Server, f *Fleet) error {
	if f.owned {
		q.RootRequired = append(q.RootRequired, compute.TraitOwner)
	}
	return nil
}
