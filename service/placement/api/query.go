package api

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/placement"
)

// last returns the value that counts of a parameter that is given more than once.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

func invalidQuery(v *violation) error {
	return fault.Invalidf("Invalid query string parameters: %s", v.Error())
}

// checkQuery refuses parameters that are not in a table of names and the rules
// of their values, and values that break the rules.
func checkQuery(r *rest.Request, parameters map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(r.Query)) {
		rules, ok := parameters[key]
		if !ok {
			return invalidQuery(&violation{"Additional properties are not allowed (" + show(key) + " was unexpected)", "additionalProperties", ""})
		}
		if err := checkValue(key, rules, last(r.Query[key])); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(key, rules, value string) error {
	err := checkString("['properties']["+show(key)+"]", rulesOf(strings.Fields(rules)), value)
	if v, ok := errors.AsType[*violation](err); ok {
		return invalidQuery(v)
	}
	return err
}

func providerFilter(r *rest.Request) (placement.ProviderFilter, error) {
	var f placement.ProviderFilter
	parameters := map[string]string{"name": "", "uuid": "uuid"}
	for since, name := range map[string]string{"1.3": "member_of", "1.4": "resources", "1.14": "in_tree", "1.18": "required"} {
		if r.Version.AtLeast(since) {
			parameters[name] = ""
		}
	}
	if _, ok := parameters["in_tree"]; ok {
		parameters["in_tree"] = "uuid"
	}
	if err := checkQuery(r, parameters); err != nil {
		return f, err
	}
	f.Name, f.UUID, f.InTree = last(r.Query["name"]), dashed(last(r.Query["uuid"])), dashed(last(r.Query["in_tree"]))
	var err error
	if r.Query.Has("member_of") {
		if f.MemberOf, f.NotMemberOf, err = memberOf(r, ""); err != nil {
			return f, err
		}
	}
	if r.Query.Has("required") {
		if f.Required, f.Forbidden, err = required(r, ""); err != nil {
			return f, err
		}
	}
	if r.Query.Has("resources") {
		f.Resources, err = resources(last(r.Query["resources"]))
	}
	return f, err
}

// resources reads "VCPU:2,MEMORY_MB:1024".
func resources(text string) ([]placement.Amount, error) {
	const form = "Badly formed resources parameter. Expected resources query string parameter in form: ?resources=VCPU:2,MEMORY_MB:1024. Got: "
	if strings.TrimSpace(text) == "" {
		return nil, fault.Invalidf("%sempty string.", form)
	}
	var list []placement.Amount
	for part := range strings.SplitSeq(text, ",") {
		class, number, ok := strings.Cut(part, ":")
		if !ok || strings.Contains(number, ":") {
			return nil, fault.Invalidf("%s%.255s.", form, part)
		}
		amount, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil {
			return nil, fault.Invalidf("Requested resource %.255s expected positive integer amount. Got: %.64s.", class, number)
		}
		if amount < 1 {
			return nil, fault.Invalidf("Requested resource %.255s requires amount >= 1. Got: %d.", class, amount)
		}
		same := func(a placement.Amount) bool { return a.Class == class }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i].Amount = amount
		} else {
			list = append(list, placement.Amount{Class: class, Amount: amount})
		}
	}
	return list, nil
}

// required reads the traits of a group: a conjunction of disjunctions, and those
// that are forbidden.
func required(r *rest.Request, suffix string) (wanted [][]string, forbidden []string, err error) {
	values := r.Query["required"+suffix]
	if !r.Version.AtLeast("1.39") {
		values = values[len(values)-1:]
	}
	for _, value := range values {
		w, f, err := traits(value, r.Version.AtLeast("1.22"), r.Version.AtLeast("1.39"))
		if err != nil {
			return nil, nil, err
		}
		wanted, forbidden = append(wanted, w...), append(forbidden, f...)
	}
	return wanted, forbidden, nil
}

// traits reads "A,!B" or "in:A,B".
func traits(value string, mayForbid, mayChoose bool) (wanted [][]string, forbidden []string, err error) {
	const invalid = "Invalid query string parameters: "
	if list, ok := strings.CutPrefix(value, "in:"); ok {
		if !mayChoose {
			return nil, nil, fault.Invalidf(invalid+"The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' only supported since microversion 1.39. Got: %.1024s", value)
		}
		options := split(list)
		for _, o := range options {
			switch {
			case o == "":
				return nil, nil, fault.Invalidf(invalid+"Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. Got an empty trait in: %.1024s", value)
			case o[0] == '!':
				return nil, nil, fault.Invalidf(invalid+"The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC' does not support forbidden traits. Got: %.1024s", value)
			}
		}
		return [][]string{options}, nil, nil
	}
	form := "HW_CPU_X86_VMX,CUSTOM_MAGIC"
	if mayForbid {
		form = "HW_CPU_X86_VMX,!CUSTOM_MAGIC"
	}
	for _, name := range split(value) {
		bare := strings.TrimLeft(name, "!")
		if bare == "" {
			return nil, nil, fault.Invalidf(invalid+"Expected 'required' parameter value of the form: %s. Got an empty trait in: %.1024s", form, value)
		}
		if bare != name {
			forbidden = append(forbidden, bare)
		} else {
			wanted = append(wanted, []string{name})
		}
	}
	if len(forbidden) > 0 && !mayForbid {
		return nil, nil, fault.Invalidf(invalid+"Expected 'required' parameter value of the form: %s. Got: %.1024s", form, value)
	}
	return wanted, forbidden, nil
}

// split cuts a list at commas and trims its elements.
func split(text string) []string {
	list := strings.Split(text, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// memberOf reads the aggregates of a group: a conjunction of disjunctions, and
// those that are forbidden.
func memberOf(r *rest.Request, suffix string) (wanted [][]string, forbidden []string, err error) {
	values := r.Query["member_of"+suffix]
	if len(values) > 1 && !r.Version.AtLeast("1.24") {
		return nil, nil, fault.Invalidf("Multiple member_of%s parameters are not supported", suffix)
	}
	for _, value := range values {
		list, not, err := aggregates(value)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case not && !r.Version.AtLeast("1.32"):
			return nil, nil, fault.Invalidf("Forbidden member_of%s parameters are not supported in the specified microversion", suffix)
		case not:
			forbidden = append(forbidden, list...)
		default:
			wanted = append(wanted, list)
		}
	}
	return wanted, forbidden, nil
}

// aggregates reads "A", "in:A,B", "!A" or "!in:A,B".
func aggregates(value string) (list []string, not bool, err error) {
	rest, not := strings.CutPrefix(value, "!")
	names, many := strings.CutPrefix(rest, "in:")
	if strings.Contains(value, ",") && !many {
		return nil, not, fault.Invalidf("Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword "+
			"using the valid microversion. Got: %.1024s", value)
	}
	list = []string{rest}
	if many {
		list = strings.Split(names, ",")
	}
	for _, uuid := range list {
		if !isUUID(uuid) {
			return nil, not, fault.Invalidf("Invalid query string parameters: Expected 'member_of' parameter to contain valid UUID(s). Got: %.64s", uuid)
		}
	}
	return list, not, nil
}

func isUUID(text string) bool { return rest.IsUUID(text) }
