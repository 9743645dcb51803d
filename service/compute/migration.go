package compute

import "time"

// Migration is one move of a server: to another host, to another flavor, or
// both. Its id is also the consumer that holds what the server has at its old
// place, in Placement, until the move is confirmed or undone.
type Migration struct {
	Seq      int64 // the API's "id"
	ID       string
	ServerID string
	Type     MigrationType
	Status   MigrationStatus
	// WasState is what the server was before, and is again afterwards.
	WasState State

	SourceHost, SourceNode string
	DestHost, DestNode     string // "" until one is chosen
	DestIP                 string
	OldFlavor, NewFlavor   Flavor
	// Wish is what somebody asks of a move under way.
	Wish MigrationWish

	Transfer Transfer

	UserID, ProjectID    string
	CreatedAt, UpdatedAt time.Time
}

// Transfer is how far the copying of a running guest has come, in bytes.
type Transfer struct {
	MemoryTotal     int64 `json:"memory_total,omitempty"`
	MemoryProcessed int64 `json:"memory_processed,omitempty"`
	MemoryRemaining int64 `json:"memory_remaining,omitempty"`
	DiskTotal       int64 `json:"disk_total,omitempty"`
	DiskProcessed   int64 `json:"disk_processed,omitempty"`
	DiskRemaining   int64 `json:"disk_remaining,omitempty"`
}

// MigrationType is what kind of move it is, in the API's words.
type MigrationType string

// The types.
const (
	ColdMigration MigrationType = "migration"
	ResizeMove    MigrationType = "resize"
	LiveMigration MigrationType = "live-migration"
	Evacuation    MigrationType = "evacuation"
)

// MigrationStatus is how far a move has come, in the API's words.
type MigrationStatus string

// The statuses. Those of a cold move go pre-migrating, migrating,
// post-migrating, finished, and then confirming and confirmed or reverting and
// reverted; those of a live one queued, preparing, running, completed.
const (
	MigrationAccepted  MigrationStatus = "accepted"
	MigrationQueued    MigrationStatus = "queued"
	MigrationPreparing MigrationStatus = "preparing"
	MigrationRunning   MigrationStatus = "running"
	PreMigrating       MigrationStatus = "pre-migrating"
	MigratingStatus    MigrationStatus = "migrating"
	PostMigrating      MigrationStatus = "post-migrating"
	MigrationFinished  MigrationStatus = "finished"
	Confirming         MigrationStatus = "confirming"
	Confirmed          MigrationStatus = "confirmed"
	Reverting          MigrationStatus = "reverting"
	Reverted           MigrationStatus = "reverted"
	MigrationDone      MigrationStatus = "done"
	MigrationCompleted MigrationStatus = "completed"
	MigrationCancelled MigrationStatus = "cancelled"
	MigrationFailed    MigrationStatus = "failed"
	MigrationError     MigrationStatus = "error"
)

// OpenMigrations are the statuses of moves that are not over: something of the
// server is still at its old place, or may be at two.
var OpenMigrations = []MigrationStatus{MigrationAccepted, MigrationQueued, MigrationPreparing, MigrationRunning, PreMigrating, MigratingStatus,
	PostMigrating, MigrationFinished, Confirming, Reverting}

// LiveInProgress are the statuses in which a live migration is shown as part of
// its server.
var LiveInProgress = []MigrationStatus{MigrationQueued, MigrationPreparing, MigrationRunning, PostMigrating}

// MigrationWish is what may be asked of a live migration under way.
type MigrationWish string

// The wishes.
const (
	NoWish       MigrationWish = ""
	AbortWish    MigrationWish = "abort"
	CompleteWish MigrationWish = "complete"
)

// MigrationQuery selects migrations; zero fields select nothing away.
type MigrationQuery struct {
	ServerID   string
	Types      []MigrationType
	Statuses   []MigrationStatus
	Host       string // source or destination
	SourceHost string
	UserID     string
	ProjectID  string

	ChangesSince, ChangesBefore time.Time

	NewestFirst bool
	Marker      string // the id of a migration; only with NewestFirst
	Limit       int    // 0: all
}
