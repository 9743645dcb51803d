package identity

// Region is a part of the cloud, perhaps in another.
type Region struct {
	ID          string     `db:"id"`
	ParentID    string     `db:"parent_id"` // "" at the top
	Description string     `db:"description"`
	Extra       Attributes `db:"extra"`
}

// RegionChange is what a caller gives of a region; nil is what it does not give.
type RegionChange struct {
	ID          *string
	ParentID    *string
	Description *string
	Extra       Attributes
}

// Service is one API of the cloud.
type Service struct {
	ID      string     `db:"id"`
	Type    string     `db:"type"` // "compute"
	Name    string     `db:"name"` // "nova"
	Enabled bool       `db:"enabled"`
	Extra   Attributes `db:"extra"` // with the description, if any
}

// ServiceChange is what a caller gives of a service; nil is what it does not give.
type ServiceChange struct {
	Type, Name *string
	Enabled    *bool
	Extra      Attributes
}

// The interfaces of an endpoint.
const (
	Public   = "public"
	Internal = "internal"
	Admin    = "admin"
)

// Endpoint is an address of a service. Its URL may contain %(project_id)s,
// %(tenant_id)s, %(user_id)s and the same with $( in place of %(.
type Endpoint struct {
	ID        string     `db:"id"`
	ServiceID string     `db:"service_id"`
	RegionID  string     `db:"region_id"` // may be ""
	Interface string     `db:"interface"`
	URL       string     `db:"url"`
	Enabled   bool       `db:"enabled"`
	Extra     Attributes `db:"extra"`
}

// EndpointChange is what a caller gives of an endpoint; nil is what it does not give.
type EndpointChange struct {
	ServiceID, RegionID, Interface, URL *string
	Enabled                             *bool
	Extra                               Attributes
}

// CatalogEntry is an enabled service with its enabled endpoints, as a token
// shows them: their URLs are filled in for its scope.
type CatalogEntry struct {
	Service   Service
	Endpoints []Endpoint
}
