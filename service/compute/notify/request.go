package notify

import (
	"maps"

	"kilonova/service/compute"
)

// taskFailed is told beside the server's own error when no host could be found.
func (c Cause) taskFailed(task string, s *compute.Server, e compute.ActionEvent) Message {
	return c.versioned(ByConductor, "compute_task."+task+".error", objectOf("ComputeTaskPayload", "1.0", struct {
		InstanceUUID string        `json:"instance_uuid"`
		RequestSpec  object        `json:"request_spec"`
		State        compute.State `json:"state"`
		Reason       *object       `json:"reason"`
	}{s.ID, requestSpec(s), s.State, faultOf(&e)}))
}

// requestSpec is what was asked of the scheduler, as far as it can be told from the
// server itself.
func requestSpec(s *compute.Server) object {
	hints := map[string][]any{}
	for name, value := range s.Hints {
		if list, ok := value.([]any); ok {
			hints[name] = list
		} else {
			hints[name] = []any{value}
		}
	}
	return objectOf("RequestSpecPayload", "1.1", struct {
		InstanceUUID         string           `json:"instance_uuid"`
		ProjectID            string           `json:"project_id"`
		UserID               string           `json:"user_id"`
		Zone                 *string          `json:"availability_zone"`
		Flavor               object           `json:"flavor"`
		Image                object           `json:"image"`
		NUMATopology         *object          `json:"numa_topology"`
		PCIRequests          object           `json:"pci_requests"`
		NumInstances         int              `json:"num_instances"`
		Hints                map[string][]any `json:"scheduler_hints"`
		SecurityGroups       []string         `json:"security_groups"`
		IgnoreHosts          []string         `json:"ignore_hosts"`
		ForceHosts           []string         `json:"force_hosts"`
		ForceNodes           []string         `json:"force_nodes"`
		InstanceGroup        *object          `json:"instance_group"`
		RequestedDestination *object          `json:"requested_destination"`
		Retry                *object          `json:"retry"`
	}{InstanceUUID: s.ID, ProjectID: s.ProjectID, UserID: s.UserID, Zone: orNull(s.AvailabilityZone), Flavor: flavorIn(s.Flavor), Image: imageOf(s),
		PCIRequests: objectOf("InstancePCIRequestsPayload", "1.0", struct {
			InstanceUUID string   `json:"instance_uuid"`
			Requests     []object `json:"requests"`
		}{s.ID, []object{}}), NumInstances: 1, Hints: hints, SecurityGroups: orNone(s.SecurityGroups)})
}

func imageOf(s *compute.Server) object {
	properties := maps.Clone(s.ImageMeta.Properties)
	if properties == nil {
		properties = map[string]string{}
	}
	m := s.ImageMeta
	return objectOf("ImageMetaPayload", "1.0", struct {
		ID              string   `json:"id"`
		Name            *string  `json:"name"`
		Status          *string  `json:"status"`
		Visibility      *string  `json:"visibility"`
		Protected       bool     `json:"protected"`
		Checksum        *string  `json:"checksum"`
		Owner           *string  `json:"owner"`
		Size            *int64   `json:"size"`
		VirtualSize     *int64   `json:"virtual_size"`
		ContainerFormat *string  `json:"container_format"`
		DiskFormat      *string  `json:"disk_format"`
		CreatedAt       stamp    `json:"created_at"`
		UpdatedAt       stamp    `json:"updated_at"`
		Tags            []string `json:"tags"`
		DirectURL       *string  `json:"direct_url"`
		MinRAM          int      `json:"min_ram"`
		MinDisk         int      `json:"min_disk"`
		Properties      object   `json:"properties"`
	}{ID: s.ImageID, Name: orNull(m.Name), Status: orNull("active"), Checksum: orNull(m.Checksum), ContainerFormat: orNull(m.ContainerFormat),
		DiskFormat: orNull(m.DiskFormat), Tags: []string{}, MinRAM: m.MinRAMMB, MinDisk: m.MinDiskGB, Properties: objectOf("ImageMetaPropsPayload", "1.19", properties)})
}
