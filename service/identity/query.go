package identity

// Query selects and orders a list.
type Query struct {
	Filters []Filter
	SortKey string // "" or "id": by id
	Desc    bool
	Limit   int    // 0: all
	Marker  string // the id after which to begin
}

// Filter compares an attribute with a value.
type Filter struct {
	Attribute string
	Op        Op
	Value     any // a string, a bool or a time.Time
}

// Op is how a filter compares.
type Op string

// The comparisons of the API's query strings: name__contains=x.
const (
	Equal      Op = ""
	Contains   Op = "contains"
	StartsWith Op = "startswith"
	EndsWith   Op = "endswith"
	IContains  Op = "icontains"
	IStarts    Op = "istartswith"
	IEnds      Op = "iendswith"
	IEqual     Op = "iexact"
	Less       Op = "lt"
	LessEq     Op = "lte"
	Greater    Op = "gt"
	GreaterEq  Op = "gte"
	NotEqual   Op = "neq"
)

// Where adds a comparison for equality and returns q.
func (q Query) Where(attribute string, value any) Query {
	q.Filters = append(q.Filters[:len(q.Filters):len(q.Filters)], Filter{Attribute: attribute, Value: value})
	return q
}

// TagQuery selects projects by their tags: those that have all, any, not all or
// none of some tags. Empty lists select nothing away.
type TagQuery struct{ All, Any, NotAll, NotAny []string }
