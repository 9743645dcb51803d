package image

// Condition compares a column of images. Column is one of those that the store
// knows, Values may hold times.
type Condition struct {
	Column string
	Op     string // = < <= > >= IN BETWEEN NOT BETWEEN
	Values []any
}

// Order is a column to sort by.
type Order struct {
	Column string
	Desc   bool
}

// TaskQuery says which tasks to list: "" stands for all.
type TaskQuery struct {
	Owner, Type string
	Status      TaskStatus
	Marker      *Task
	Asc         bool
	Limit       int
}

// NamespaceQuery says which namespaces to list.
type NamespaceQuery struct {
	Everything    bool   // of all projects; else public ones and Viewer's
	Viewer        string // a project's id
	Visibility    string // "" all
	ResourceTypes []string
	Marker        *Namespace
	Asc           bool
	Limit         int
}
