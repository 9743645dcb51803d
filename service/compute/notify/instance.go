package notify

import (
	"cmp"
	"encoding/json"

	"kilonova/service/compute"
)

// instanceData is InstancePayload with what its variants add; those are nil where
// the variant lacks them.
type instanceData struct {
	UUID             string            `json:"uuid"`
	UserID           string            `json:"user_id"`
	TenantID         string            `json:"tenant_id"`
	ReservationID    string            `json:"reservation_id"`
	DisplayName      string            `json:"display_name"`
	Description      *string           `json:"display_description"`
	HostName         string            `json:"host_name"`
	Host             *string           `json:"host"`
	Node             *string           `json:"node"`
	OSType           *string           `json:"os_type"`
	Architecture     *string           `json:"architecture"`
	Zone             *string           `json:"availability_zone"`
	Flavor           object            `json:"flavor"`
	ImageUUID        string            `json:"image_uuid"`
	KeyName          *string           `json:"key_name"`
	KernelID         string            `json:"kernel_id"`
	RamdiskID        string            `json:"ramdisk_id"`
	CreatedAt        stamp             `json:"created_at"`
	LaunchedAt       stamp             `json:"launched_at"`
	TerminatedAt     stamp             `json:"terminated_at"`
	DeletedAt        stamp             `json:"deleted_at"`
	UpdatedAt        stamp             `json:"updated_at"`
	State            compute.State     `json:"state"`
	PowerState       string            `json:"power_state"`
	TaskState        *string           `json:"task_state"`
	Progress         int               `json:"progress"`
	IPAddresses      []object          `json:"ip_addresses"`
	BlockDevices     []object          `json:"block_devices"`
	Metadata         map[string]string `json:"metadata"`
	Locked           bool              `json:"locked"`
	LockedReason     *string           `json:"locked_reason"`
	DiskConfig       string            `json:"auto_disk_config"`
	RequestID        *string           `json:"request_id"`
	InitiatorUser    *string           `json:"action_initiator_user"`
	InitiatorProject *string           `json:"action_initiator_project"`
	Shares           []object          `json:"shares"`

	*faultData
	*createData
	*tagData
	*updateData
	*existsData
	*certificateData
	*rescueData
	*snapshotData
	*volumeData
	*swapData
	*prepData
	*shareData
}

type faultData struct {
	Fault *object `json:"fault"`
}

type createData struct {
	Keypairs     []object `json:"keypairs"`
	InstanceName string   `json:"instance_name"`
}

type tagData struct {
	Tags []string `json:"tags"`
}

type certificateData struct {
	Certificates []string `json:"trusted_image_certificates"`
}

type rescueData struct {
	RescueImage *string `json:"rescue_image_ref"`
}

type snapshotData struct {
	SnapshotImage *string `json:"snapshot_image_id"`
}

type volumeData struct {
	VolumeID *string `json:"volume_id"`
}

type swapData struct {
	OldVolume *string `json:"old_volume_id"`
	NewVolume *string `json:"new_volume_id"`
}

type prepData struct {
	NewFlavor object `json:"new_flavor"`
}

type shareData struct {
	ShareID *string `json:"share_id"`
}

// updateData is what instance.update adds.
type updateData struct {
	StateUpdate object  `json:"state_update"`
	OldName     *string `json:"old_display_name"`
}

// About is what an action is about besides its server, by these names.
type About map[string]string

// The names of About.
const (
	AboutImage     = "image"      // made by a snapshot, or rescued with
	AboutVolume    = "volume"     // attached or detached, or swapped away
	AboutNewVolume = "new_volume" // swapped in
	AboutShare     = "share"
	AboutSoft      = "soft"   // of a delete that can be taken back; any text
	AboutFlavor    = "flavor" // resized to, as Flavored writes it
)

func (a About) text(name string) *string { return orNull(a[name]) }

// Flavored is an About that names a flavor.
func Flavored(f compute.Flavor) (About, error) {
	text, err := json.Marshal(f)
	return About{AboutFlavor: string(text)}, err
}

// flavor reads it; other where there is none.
func (a About) flavor(other compute.Flavor) compute.Flavor {
	var f compute.Flavor
	if json.Unmarshal([]byte(a[AboutFlavor]), &f) != nil {
		return other
	}
	return f
}

// powerStates are upstream's words (nova/objects/fields.py: InstancePowerState).
var powerStates = map[compute.Power]string{compute.PowerNone: "pending", compute.PowerRunning: "running", compute.PowerPaused: "paused",
	compute.PowerShutdown: "shutdown", compute.PowerCrashed: "crashed", compute.PowerSuspended: "suspended"}

// base is InstancePayload's data.
func (c Cause) base(s *compute.Server) *instanceData {
	properties := s.ImageMeta.Properties
	d := &instanceData{UUID: s.ID, UserID: s.UserID, TenantID: s.ProjectID, ReservationID: s.ReservationID, DisplayName: s.DisplayName,
		Description: s.Description, HostName: s.Hostname, Host: orNull(s.Host), Node: orNull(s.Node), OSType: orNull(properties["os_type"]),
		Architecture: orNull(cmp.Or(properties["hw_architecture"], properties["architecture"])), Zone: orNull(s.AvailabilityZone),
		Flavor: flavorIn(s.Flavor), ImageUUID: s.ImageID, KeyName: orNull(s.KeyName), KernelID: properties["kernel_id"], RamdiskID: properties["ramdisk_id"],
		CreatedAt: stamp{s.CreatedAt}, LaunchedAt: stamp{s.LaunchedAt}, TerminatedAt: stamp{s.TerminatedAt}, DeletedAt: stamp{s.DeletedAt},
		UpdatedAt: stamp{s.UpdatedAt}, State: s.State, PowerState: powerStates[s.Power], TaskState: orNull(string(s.Task)), Progress: s.Progress,
		IPAddresses: addresses(s), BlockDevices: []object{}, Metadata: s.Metadata, Locked: s.Locked, LockedReason: orNull(s.LockedReason),
		DiskConfig: s.DiskConfig, RequestID: orNull(c.RequestID), InitiatorUser: orNull(c.UserID), InitiatorProject: orNull(c.ProjectID), Shares: shares(s)}
	if d.Metadata == nil {
		d.Metadata = map[string]string{}
	}
	return d
}

// instance is the payload of an event of a server.
func (c Cause) instance(f Formats, kind payload, s *compute.Server, about About, failure *compute.ActionEvent) object {
	d := c.base(s)
	d.faultData = &faultData{faultOf(failure)}
	if f.Devices {
		d.BlockDevices = blockDevices(s)
	}
	switch kind {
	case create:
		d.createData = &createData{Keypairs: keypairsOf(s), InstanceName: s.GuestName()}
		d.tagData = &tagData{orNone(s.Tags)}
		d.certificateData = &certificateData{s.System.TrustedCertificates}
		return objectOf("InstanceCreatePayload", "1.13", d)
	case rebuild:
		d.certificateData = &certificateData{s.System.TrustedCertificates}
		return objectOf("InstanceActionRebuildPayload", "1.10", d)
	case rescue:
		d.rescueData = &rescueData{about.text(AboutImage)}
		return objectOf("InstanceActionRescuePayload", "1.4", d)
	case resizePrep:
		d.prepData = &prepData{flavorIn(about.flavor(s.Flavor))}
		return objectOf("InstanceActionResizePrepPayload", "1.4", d)
	case snapshot:
		d.snapshotData = &snapshotData{about.text(AboutImage)}
		return objectOf("InstanceActionSnapshotPayload", "1.10", d)
	case volume:
		d.volumeData = &volumeData{about.text(AboutVolume)}
		return objectOf("InstanceActionVolumePayload", "1.7", d)
	case volumeSwap:
		d.swapData = &swapData{about.text(AboutVolume), about.text(AboutNewVolume)}
		return objectOf("InstanceActionVolumeSwapPayload", "1.9", d)
	case share:
		d.shareData = &shareData{about.text(AboutShare)}
		return objectOf("InstanceActionSharePayload", "1.0", d)
	}
	return objectOf("InstanceActionPayload", "1.9", d)
}

func addresses(s *compute.Server) []object {
	list := []object{}
	for _, nic := range s.Networks {
		for _, ip := range nic.FixedIPs {
			version := 6
			if ip.Address.Is4() {
				version = 4
			}
			list = append(list, objectOf("IpPayload", "1.0", struct {
				Label   string            `json:"label"`
				MAC     string            `json:"mac"`
				Meta    map[string]string `json:"meta"`
				Port    string            `json:"port_uuid"`
				Version int               `json:"version"`
				Address string            `json:"address"`
				Device  string            `json:"device_name"`
			}{nic.NetworkName, nic.MAC, map[string]string{}, nic.PortID, version, ip.Address.String(), compute.TapName(nic.PortID)}))
		}
	}
	return list
}

func blockDevices(s *compute.Server) []object {
	list := []object{}
	for _, b := range s.Devices {
		var boot *int
		if b.Boot {
			boot = new(int)
		}
		list = append(list, objectOf("BlockDevicePayload", "1.0", struct {
			DeviceName  *string `json:"device_name"`
			BootIndex   *int    `json:"boot_index"`
			DeleteOnEnd bool    `json:"delete_on_termination"`
			VolumeID    string  `json:"volume_id"`
			Tag         *string `json:"tag"`
		}{orNull(b.Device), boot, b.DeleteOnEnd, b.VolumeID, orNull(b.Tag)}))
	}
	return list
}

func keypairsOf(s *compute.Server) []object {
	if s.KeyName == "" {
		return []object{}
	}
	return []object{keypair(compute.Keypair{UserID: s.UserID, Name: s.KeyName, Type: "ssh", PublicKey: s.KeyData})}
}

// faultOf is ExceptionPayload of a step that failed.
func faultOf(e *compute.ActionEvent) *object {
	if e == nil {
		return nil
	}
	text := ""
	if e.Details != nil {
		text = *e.Details
	}
	o := objectOf("ExceptionPayload", "1.1", struct {
		Module    string `json:"module_name"`
		Function  string `json:"function_name"`
		Exception string `json:"exception"`
		Message   string `json:"exception_message"`
		Traceback string `json:"traceback"`
	}{"kilonova.compute", e.Name, "NovaException", text, text})
	return &o
}

func orNone(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
