package arch

// A debt is an import that breaks a rule and is known. The table only ever gets
// shorter: an entry that is not needed any more fails the test, and so does an
// import that is not in it.
type debt struct{ rule, from, to string }

// debts have their way out beside them.
var debts = map[debt]string{}
