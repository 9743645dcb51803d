package image

import "time"

// Namespace is a set of metadata definitions: what may be said of images and
// other resources, for those who offer it to users. The service itself follows
// none of them.
type Namespace struct {
	Name        string
	DisplayName string
	Description string
	Visibility  Visibility // public or private
	Protected   bool       // may not be deleted
	Owner       string

	CreatedAt, UpdatedAt time.Time
}

// Definition is one of a namespace's definitions.
type Definition struct {
	Kind DefinitionKind
	Name string
	Body map[string]any // as the API has it, without the name

	CreatedAt, UpdatedAt time.Time
}

// DefinitionKind says what is defined.
type DefinitionKind string

// The kinds of definitions. An association names a type of resource that the
// namespace is for.
const (
	DefObject      DefinitionKind = "object"
	DefProperty    DefinitionKind = "property"
	DefTag         DefinitionKind = "tag"
	DefAssociation DefinitionKind = "association"
)

// ResourceType is a type of resource that namespaces may be for.
type ResourceType struct {
	Name                 string
	CreatedAt, UpdatedAt time.Time
}
