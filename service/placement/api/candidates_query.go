package api

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/placement"
)

// Suffixes of groups: numbers from version 1.25 on, names from 1.33 on.
var (
	numbered = groupKeys(`[1-9][0-9]*`, "resources", "required", "member_of")
	inTree   = groupKeys(`[1-9][0-9]*`, "resources", "required", "member_of", "in_tree")
	named    = groupKeys(`[a-zA-Z0-9_-]{1,64}`, "resources", "required", "member_of", "in_tree")
)

// groupKeys returns the patterns of the parameters that belong to a group.
func groupKeys(suffix string, prefixes ...string) []*regexp.Regexp {
	list := make([]*regexp.Regexp, 0, len(prefixes))
	for _, p := range prefixes {
		list = append(list, regexp.MustCompile(`^`+p+`(`+suffix+`)?$`))
	}
	return list
}

// candidatesQuery reads GET /allocation_candidates.
func candidatesQuery(r *rest.Request) (*placement.Query, error) {
	if err := checkCandidateKeys(r); err != nil {
		return nil, err
	}
	// Of these two the first one given counts.
	q := &placement.Query{Isolate: r.Query.Get("group_policy") == "isolate", Flat: !r.Version.AtLeast("1.29")}
	q.Limit, _ = strconv.Atoi(r.Query.Get("limit")) // it is a number, perhaps one beyond all limits
	var err error
	if values := r.Query["root_required"]; len(values) > 0 {
		if q.RootRequired, q.RootForbidden, err = rootRequired(values); err != nil {
			return nil, err
		}
	}
	for _, value := range r.Query["same_subtree"] {
		suffixes := split(value)
		if slices.Contains(suffixes, "") {
			return nil, fault.Invalidf("Empty string (unsuffixed group) can not be specified in `same_subtree`").WithCode(placement.CodeBadParameter)
		}
		q.SameSubtree = append(q.SameSubtree, suffixes)
	}
	groups, err := readGroups(r)
	if err != nil {
		return nil, err
	}
	if r.Version.AtLeast("1.36") {
		err = checkResourceless(groups, q.SameSubtree)
	} else {
		err = checkOrphans(groups)
	}
	if err != nil {
		return nil, err
	}
	if err := checkConflicts(groups); err != nil {
		return nil, err
	}
	same := 0
	for _, suffix := range slices.Sorted(maps.Keys(groups)) {
		if groups[suffix].SameProvider {
			same++
		}
		q.Groups = append(q.Groups, *groups[suffix])
	}
	if same > 1 && !r.Query.Has("group_policy") {
		return nil, fault.Invalidf(`The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.`)
	}
	return q, nil
}

// checkCandidateKeys judges names and forms of the parameters.
func checkCandidateKeys(r *rest.Request) error {
	v := r.Version
	plain := map[string]string{}
	var keys []*regexp.Regexp
	since := func(version string, names ...string) {
		for _, n := range names {
			if v.AtLeast(version) {
				plain[n] = ""
			}
		}
	}
	switch {
	case v.AtLeast("1.33"):
		keys = named
	case v.AtLeast("1.31"):
		keys = inTree
	case v.AtLeast("1.25"):
		keys = numbered
	default:
		since("1.10", "resources")
		since("1.17", "required")
		since("1.21", "member_of")
	}
	since("1.16", "limit")
	since("1.25", "group_policy")
	since("1.35", "root_required")
	since("1.36", "same_subtree")
	for _, key := range slices.Sorted(maps.Keys(r.Query)) {
		_, known := plain[key]
		if !known && !slices.ContainsFunc(keys, func(p *regexp.Regexp) bool { return p.MatchString(key) }) {
			return unknownKey(key, keys)
		}
	}
	if keys == nil && !r.Query.Has("resources") {
		return invalidQuery(&violation{"'resources' is a required property", "required", ""})
	}
	for _, limit := range r.Query["limit"] {
		if err := checkValue("limit", "match=limit len=1..", limit); err != nil {
			return err
		}
	}
	for _, policy := range r.Query["group_policy"] {
		if policy == "none" || policy == "isolate" {
			continue
		}
		return invalidQuery(&violation{show(policy) + " is not one of ['none', 'isolate']", "enum", "['properties']['group_policy']"})
	}
	return nil
}

func unknownKey(key string, keys []*regexp.Regexp) error {
	if keys == nil {
		return invalidQuery(&violation{"Additional properties are not allowed (" + show(key) + " was unexpected)", "additionalProperties", ""})
	}
	var texts []string
	for _, p := range keys {
		texts = append(texts, "'"+p.String()+"'")
	}
	slices.Sort(texts)
	return invalidQuery(&violation{show(key) + " does not match any of the regexes: " + strings.Join(texts, ", "), "additionalProperties", ""})
}

func rootRequired(values []string) (wanted, forbidden []string, err error) {
	if len(values) > 1 {
		return nil, nil, fault.Invalidf("Query parameter 'root_required' may be specified only once.").WithCode(placement.CodeDuplicateParameter)
	}
	all, forbidden, err := traits(values[0], true, false)
	if err != nil {
		return nil, nil, err
	}
	var both []string
	for _, one := range all {
		wanted = append(wanted, one...)
	}
	for _, t := range wanted {
		if slices.Contains(forbidden, t) {
			both = append(both, t)
		}
	}
	if len(both) > 0 {
		return nil, nil, fault.Invalidf("Conflicting required and forbidden traits found in root_required: %s", strings.Join(both, ", ")).
			WithCode(placement.CodeBadParameter)
	}
	return wanted, forbidden, nil
}

// readGroups gathers the parameters by suffix.
func readGroups(r *rest.Request) (map[string]*placement.Group, error) {
	pattern := numberedKey
	if r.Version.AtLeast("1.33") {
		pattern = namedKey
	}
	groups := map[string]*placement.Group{}
	for _, key := range slices.Sorted(maps.Keys(r.Query)) {
		m := pattern.FindStringSubmatch(key)
		if m == nil {
			continue
		}
		suffix := m[2]
		g := groups[suffix]
		if g == nil {
			g = &placement.Group{Suffix: suffix, SameProvider: suffix != ""}
			groups[suffix] = g
		}
		var err error
		switch m[1] {
		case "resources":
			for _, value := range r.Query[key] { // the last one counts, and none may be wrong
				if g.Resources, err = resources(value); err != nil {
					return nil, err
				}
			}
		case "required":
			g.Required, g.Forbidden, err = required(r, suffix)
		case "member_of":
			g.MemberOf, g.NotMemberOf, err = memberOf(r, suffix)
		case "in_tree":
			for _, value := range r.Query[key] {
				if value = strings.TrimSpace(value); !isUUID(value) {
					return nil, fault.Invalidf("Invalid query string parameters: Expected 'in_tree' parameter to be a format of uuid. Got: %.64s", value)
				}
				g.InTree = dashed(value)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return groups, nil
}

var (
	numberedKey = regexp.MustCompile(`^(resources|required|member_of|in_tree)([1-9][0-9]*)?$`)
	namedKey    = regexp.MustCompile(`^(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{1,64})?$`)
)

// checkOrphans refuses groups without resources: until version 1.35.
func checkOrphans(groups map[string]*placement.Group) error {
	var traits, aggregates []string
	bare := false
	for _, suffix := range slices.Sorted(maps.Keys(groups)) {
		g := groups[suffix]
		if len(g.Resources) > 0 {
			continue
		}
		bare = true
		if len(g.Required) > 0 {
			traits = append(traits, "required"+suffix)
		}
		if len(g.MemberOf)+len(g.NotMemberOf) > 0 {
			aggregates = append(aggregates, "member_of"+suffix)
		}
	}
	switch {
	case len(traits) > 0:
		return fault.Invalidf("All traits parameters must be associated with resources.  Found the following orphaned traits keys: %s", strings.Join(traits, ", "))
	case len(aggregates) > 0:
		return fault.Invalidf("All member_of parameters must be associated with resources. Found the following orphaned member_of keys: %s", strings.Join(aggregates, ", "))
	case bare:
		return fault.Invalidf("All request groups must specify resources.")
	case len(groups) == 0:
		return fault.Invalidf("At least one request group (`resources` or `resources{$S}`) is required.")
	}
	return nil
}

// checkResourceless lets groups without resources through that some same_subtree
// names, since version 1.36.
func checkResourceless(groups map[string]*placement.Group, subtrees [][]string) error {
	named := slices.Concat(subtrees...)
	var bad, unknown []string
	some := false
	for _, suffix := range slices.Sorted(maps.Keys(groups)) {
		if len(groups[suffix].Resources) > 0 {
			some = true
		} else if !slices.Contains(named, suffix) {
			bad = append(bad, show(suffix))
		}
	}
	for _, suffix := range named {
		if groups[suffix] == nil {
			unknown = append(unknown, show(suffix))
		}
	}
	switch {
	case !some:
		return fault.Invalidf("There must be at least one resources or resources[$S] parameter.").WithCode(placement.CodeMissingParameter)
	case len(bad) > 0:
		return fault.Invalidf("Resourceless suffixed group request should be specified in `same_subtree` query param: bad group(s) - [%s].",
			strings.Join(bad, ", ")).WithCode(placement.CodeBadParameter)
	case len(unknown) > 0:
		var real []string
		for _, suffix := range slices.Sorted(maps.Keys(groups)) {
			real = append(real, show(suffix))
		}
		return fault.Invalidf("Real suffixes should be specified in `same_subtree`: [%s] not found in [%s].",
			strings.Join(unknown, ", "), strings.Join(real, ", ")).WithCode(placement.CodeBadParameter)
	}
	return nil
}

// checkConflicts refuses groups that require what they forbid.
func checkConflicts(groups map[string]*placement.Group) error {
	var conflicts []string
	for suffix, g := range groups {
		for _, options := range g.Required {
			if !slices.ContainsFunc(options, func(o string) bool { return !slices.Contains(g.Forbidden, o) }) {
				conflicts = append(conflicts, fmt.Sprintf("required%s: (%s)", suffix, strings.Join(slices.Sorted(slices.Values(options)), ", ")))
			}
		}
	}
	if len(conflicts) == 0 {
		return nil
	}
	slices.Sort(conflicts)
	return fault.Invalidf("Conflicting required and forbidden traits found in the following traits keys: %s", strings.Join(conflicts, ", "))
}
