package placement

import "kilonova/internal/fault"

// Codes are the machine-readable names of failures that clients act on; see
// "errors" in the placement API reference.
const (
	CodeConcurrentUpdate   = "placement.concurrent_update"
	CodeInventoryInUse     = "placement.inventory.inuse"
	CodeDuplicateName      = "placement.duplicate_name"
	CodeProviderInUse      = "placement.resource_provider.inuse"
	CodeHasChildren        = "placement.resource_provider.cannot_delete_parent"
	CodeProviderNotFound   = "placement.resource_provider.not_found"
	CodeDuplicateParameter = "placement.query.duplicate_key"
	CodeBadParameter       = "placement.query.bad_value"
	CodeMissingParameter   = "placement.query.missing_value"
)

// NoSuchProvider is the fault for a provider that is not there.
func NoSuchProvider(uuid string) *fault.Error {
	return fault.NotFoundf("No resource provider with uuid %.64s found", uuid)
}

// NoSuchClass is the fault for a resource class that is not there.
func NoSuchClass(name string) *fault.Error {
	return fault.NotFoundf("No such resource class %.255s.", name)
}

// UnknownClass is the name of a resource class that somebody used and that does
// not exist. It is no fault by itself: whoever knows what it was used for makes
// one of it.
type UnknownClass string

func (u UnknownClass) Error() string { return "No such resource class " + string(u) + "." }

// NoSuchTrait is the fault for traits that are not there.
func NoSuchTrait(names string) *fault.Error {
	return fault.NotFoundf("No such trait(s): %.1024s.", names)
}

// Conflicting is the fault for a change that is based on a generation that has
// passed.
func Conflicting(format string, args ...any) *fault.Error {
	return fault.Conflictf(format, args...).WithCode(CodeConcurrentUpdate)
}
