package notify

import (
	"cmp"
	"time"

	"kilonova/service/compute"
)

// usage is the payload of unversioned notifications
// (nova/notifications/base.py: info_from_instance).
type usage map[string]any

func (c Cause) usage(s *compute.Server) usage {
	properties := s.ImageMeta.Properties
	u := usage{
		"tenant_id": s.ProjectID, "user_id": s.UserID, "instance_id": s.ID, "display_name": s.DisplayName, "reservation_id": s.ReservationID,
		"hostname": s.Hostname, "instance_type": s.Flavor.Name, "instance_type_id": 0, "instance_flavor_id": s.Flavor.ID,
		"architecture": orNull(cmp.Or(properties["hw_architecture"], properties["architecture"])), "memory_mb": s.Flavor.MemoryMB,
		"disk_gb": s.Flavor.RootGB + s.Flavor.EphemeralGB, "vcpus": s.Flavor.VCPUs, "root_gb": s.Flavor.RootGB, "ephemeral_gb": s.Flavor.EphemeralGB,
		"host": orNull(s.Host), "node": orNull(s.Node), "availability_zone": orNull(s.AvailabilityZone), "cell_name": "",
		"created_at": s.CreatedAt.UTC().Format("2006-01-02 15:04:05+00:00"), "terminated_at": oldTime(s.TerminatedAt), "deleted_at": oldTime(s.DeletedAt),
		"launched_at": oldTime(s.LaunchedAt), "image_ref_url": s.ImageID, "os_type": orNull(properties["os_type"]), "kernel_id": properties["kernel_id"],
		"ramdisk_id": properties["ramdisk_id"], "state": s.State, "state_description": string(s.Task), "progress": "", "access_ip_v4": orNull(s.AccessIPv4),
		"access_ip_v6": orNull(s.AccessIPv6), "metadata": map[string]string{}, "image_meta": map[string]string{}}
	if s.Progress != 0 {
		u["progress"] = s.Progress
	}
	if s.Metadata != nil {
		u["metadata"] = s.Metadata
	}
	if properties != nil {
		u["image_meta"] = properties
	}
	return u
}

// oldTime is an instant with microseconds and no zone; "" when it is zero.
func oldTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000")
}

func (c Cause) unversioned(f Formats, event string, s *compute.Server, failure *compute.ActionEvent) Message {
	u, priority := c.usage(s), cmp.Or(f.Level, "INFO")
	var fixed []any
	for _, nic := range s.Networks {
		for _, ip := range nic.FixedIPs {
			version := 6
			if ip.Address.Is4() {
				version = 4
			}
			fixed = append(fixed, usage{"address": ip.Address.String(), "type": "fixed", "version": version, "label": nic.NetworkName, "vif_mac": nic.MAC,
				"meta": usage{}, "floating_ips": ip.Floating})
		}
	}
	if fixed != nil {
		u["fixed_ips"] = fixed
	}
	if failure != nil {
		priority = "ERROR"
		if failure.Details != nil {
			u["message"], u["exception"] = *failure.Details, usage{"kwargs": usage{}, "code": 500}
		}
	}
	return c.message(TopicUnversioned, "compute."+c.Host, event, priority, u)
}

func (c Cause) unversionedUpdate(f Formats, after *compute.Server, oldState compute.State, oldTask compute.Task, oldName string) Message {
	u := c.usage(after)
	u["old_state"], u["state"], u["old_task_state"], u["new_task_state"] = oldState, after.State, orNull(string(oldTask)), orNull(string(after.Task))
	u["audit_period_beginning"], u["audit_period_ending"] = oldTime(monthOf(c.Now)), oldTime(c.Now)
	if oldName != "" {
		u["old_display_name"] = oldName
	}
	return c.message(TopicUnversioned, "compute."+c.Host, "compute.instance.update", cmp.Or(f.Level, "INFO"), u)
}
