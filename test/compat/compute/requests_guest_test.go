package compute

import "kilonova/internal/rest"

// guestRequests are those about what a guest has said of itself.
var guestRequests = map[string]func(*walker, rest.Version) request{
	"GET /servers/{server_id}/os-server-password":    get("/servers/<server>/os-server-password"),
	"DELETE /servers/{server_id}/os-server-password": get("/servers/<server>/os-server-password"),
}
