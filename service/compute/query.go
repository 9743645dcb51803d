package compute

import "time"

// ServerQuery selects and orders servers. Zero fields select nothing away.
type ServerQuery struct {
	ProjectID   string
	UserID      string
	Host        string
	Node        string
	Zone        string
	ImageID     string
	FlavorID    string
	KeyName     string
	IDs         []string
	Reservation string
	States      []State
	Tasks       []Task
	Power       *Power
	Locked      *bool
	ConfigDrive *bool
	// Deleted selects deleted servers only (true) or existing ones only (false);
	// nil both.
	Deleted *bool
	// Shown leaves out those that are deleted but can be restored.
	Shown         bool
	ChangesSince  time.Time
	ChangesBefore time.Time
	CreatedAt     time.Time

	Sort   []Order // then by id
	Marker string  // begin after this server
	Extent Extent
	// Match is asked of each row after SQL has had its say; nil takes all.
	Match func(*Server) bool
	Limit int // 0: all
}

// Extent is how much of each server a list reads; what it does not read is zero.
type Extent int

// Whole is everything; Visible what users and operators see of a server; Brief
// its id and name, and as much more as Match has to look at.
const (
	Whole Extent = iota
	Visible
	Brief
)

// Order is one key to sort by.
type Order struct {
	Key  string // one of ServerSortKeys
	Desc bool
}

// ServerSortKeys are what lists of servers may be sorted by, by the API's names.
var ServerSortKeys = []string{"access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at", "display_description", "display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id", "key_name", "launch_index", "launched_at", "locked", "locked_by", "node", "power_state", "progress", "project_id", "ramdisk_id", "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state"}
