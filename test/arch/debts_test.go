package arch

// A debt is an import that breaks a rule and is known. The table only ever gets
// shorter: an entry that is not needed any more fails the test, and so does an
// import that is not in it.
type debt struct{ rule, from, to string }

// debts have their way out beside them.
var debts = map[debt]string{
	{noRowsInAPI, "service/image/api", "service/image/store"}: "Condition, Order and TaskQuery become words of package image",
	{noRowsInAPI, "service/identity/api", "internal/db"}:      "the query has a time.Time, which store makes a db.Time",
	{noRowsInAPI, "service/image/api", "internal/db"}:         "the condition has a time.Time, which store makes a db.Time",
}
