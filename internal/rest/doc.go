// Package rest is what every service's HTTP face stands on: routes as data, the
// microversion of a request, the codec that knows how a resource looked at that
// version, faults in the service's own envelope, limits, request ids.
//
//	routes := []rest.Route{
//		{Method: "GET", Path: "/servers/{id}", Handle: a.showServer},
//		{Method: "POST", Path: "/servers/{id}/action", Action: "os-start", Handle: a.startServer},
//		{Method: "GET", Path: "/servers/{id}/tags", Versions: "2.26-", Handle: a.listTags},
//	}
//
// A handler gets a Request and returns a Response or an error; it never touches
// the connection. The room knows HTTP and no service.
package rest
