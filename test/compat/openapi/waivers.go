package openapi

import "strings"

// waiver is a fault of a contract: what it says, and what upstream itself answers.
type waiver struct {
	service   string
	operation string // a part of it; "" any
	where     string // how the violation's place ends; "" any
	problem   string // a part of it; "" any
	reason    string
}

var waivers = []waiver{
	{"identity", "/credentials/OS-EC2", "", "no such operation", "the file leaves the EC2 key pairs of a user out"},
	{"identity", "", "/links", "got object, want array", "upstream's links are an object everywhere; the file has a list at some operations"},
	{"identity", "", "/password_expires_at", "got null", "a password that does not expire has null"},
	{"identity", "", "/description", "got null", "roles, consumers and limits without a description have null"},
	{"identity", "/v3/domains/config/", "", "got null", "options without a default have null"},
	{"identity", "/access_rules", "", "additional properties 'links'", "upstream's access rules have links"},
	{"identity", "/application_credentials", "", "additional properties", "upstream's roles of application credentials are whole"},
	{"identity", "/application_credentials", "", "maxProperties", "upstream's roles of application credentials are whole"},
	{"identity", "", "/authorization_ttl", "got null", "a provider without one has null"},
	{"identity", "/groups", "/membership_expires_at", "got null", "a membership that does not end has null"},
	{"identity", "PUT /v3/projects/{project_id}/tags/{value}", "", "there is no body", "upstream answers 201 without one"},
	{"image", "GET /v2/schemas/", "", "got object, want string", "a schema is an object; the file says that its text is a string"},
	{"image", "GET /v2/info/stores", "/default", "got string, want boolean", "upstream's default is the text true"},
	{"image", "GET /v2/info/usage", "/usage", "got object, want array", "upstream's usage is an object of resources by name; its schema says that it is a list"},
	{"image", "POST /v2/images/{image_id}/import", "", "there is no body", "upstream answers 202 without one"},
	{"image", "PUT /v2/cache/{image_id}", "", "there is no body", "upstream answers 202 without one"},
	{"image", "POST /v2/metadefs/namespaces/{namespace_name}/tags", "", "'tags' not allowed", "several tags are made at once; the file has the answer of one"},
	{"image", "POST /v2/metadefs/namespaces/{namespace_name}/tags", "", "missing property 'name'", "several tags are made at once; the file has the answer of one"},
}

func (w waiver) covers(v Violation) bool {
	return w.service == v.Service && strings.Contains(v.Operation.String(), w.operation) && strings.HasSuffix(v.Where, w.where) && strings.Contains(v.Problem, w.problem)
}

func waived(all []Violation) []Violation {
	var left []Violation
	for _, v := range all {
		covered := false
		for _, w := range waivers {
			covered = covered || w.covers(v)
		}
		if !covered {
			left = append(left, v)
		}
	}
	return left
}
