package identity

// Role is a name that policies know. A role of a domain counts only through the
// global roles that it implies.
type Role struct {
	ID          string     `db:"id"`
	DomainID    string     `db:"domain_id"` // "" for a global role
	Name        string     `db:"name"`      // unique in its domain, or among the global ones
	Description *string    `db:"description"`
	Options     Attributes `db:"options"`
	Extra       Attributes `db:"extra"`
}

// RoleChange is what a caller gives of a role; nil is what it does not give.
type RoleChange struct {
	Name        *string
	DomainID    *string
	Description *string
	Options     Attributes
	Extra       Attributes
}

// Inference says that whoever has the prior role has the implied one too.
type Inference struct {
	Prior, Implied Role
}

// TargetKind is what an assignment gives a role on.
type TargetKind string

// The kinds of targets. There is one system; its id is SystemID.
const (
	OnProject TargetKind = "project"
	OnDomain  TargetKind = "domain"
	OnSystem  TargetKind = "system"
)

// SystemID is the id of the one system, as target of assignments.
const SystemID = "system"

// Grant gives an actor a role on a target.
type Grant struct {
	ActorID    string     `db:"actor_id"`
	IsGroup    bool       `db:"is_group"`
	TargetKind TargetKind `db:"target_kind"`
	TargetID   string     `db:"target_id"`
	RoleID     string     `db:"role_id"`
	// Inherited grants count not on the target but on all projects below it.
	Inherited bool `db:"inherited"`
}

// Assignment is a grant as it is listed, or what follows from one.
type Assignment struct {
	Grant

	// What led from a grant to this assignment; all "" for the grant itself.
	ViaGroup   string // the actor is a member of this group
	ViaTarget  string // inherited from this project or domain
	ViaKind    TargetKind
	ViaRole    string // implied by this role, the prior one
	ActorName  string // this and the names below only where asked for
	ActorIn    Named
	TargetName string
	TargetIn   Named
	RoleName   string
	RoleIn     Named
}

// Named is an id and its name.
type Named struct{ ID, Name string }

// AssignmentQuery selects assignments; zero fields do not.
type AssignmentQuery struct {
	UserID, GroupID, RoleID       string
	ProjectID, DomainID           string
	System                        bool
	Inherited                     *bool
	Effective, Subtree, WithNames bool
}
