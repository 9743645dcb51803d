package api

import "kilonova/internal/rest"

// routes is all that the API does; HEAD goes wherever GET does.
func (a *api) routes() []rest.Route {
	var all []rest.Route
	for _, group := range [][]rest.Route{a.authRoutes(), a.peopleRoutes(), a.projectRoutes(), a.roleRoutes(), a.grantRoutes(),
		a.catalogRoutes(), a.policyUseRoutes(), a.limitRoutes(), a.configRoutes(), a.delegationRoutes(), a.oauth1Routes(), a.federationRoutes(), a.oauth2Routes(), a.goneRoutes()} {
		all = append(all, group...)
	}
	return all
}

func (a *api) authRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/", Public: true, Handle: a.listVersions, Doc: "list versions of the API"},
		{Method: "GET", Path: "/v3", Public: true, Handle: a.showVersion, Doc: "show the version of the API"},
		{Method: "POST", Path: "/v3/auth/tokens", Public: true, Handle: a.issueToken, Doc: "log in"},
		{Method: "GET", Path: "/v3/auth/tokens", Handle: a.showToken, Doc: "validate and show a token"},
		{Method: "DELETE", Path: "/v3/auth/tokens", Handle: a.revokeToken, Doc: "revoke a token"},
		{Method: "GET", Path: "/v3/auth/catalog", Handle: a.showCatalog, Doc: "show the catalog"},
		{Method: "GET", Path: "/v3/auth/projects", Handle: a.authProjects, Doc: "list projects that a token can be for"},
		{Method: "GET", Path: "/v3/OS-FEDERATION/projects", Handle: a.authProjects, Doc: "list projects that a token can be for (old address)"},
		{Method: "GET", Path: "/v3/auth/domains", Handle: a.authDomains, Doc: "list domains that a token can be for"},
		{Method: "GET", Path: "/v3/OS-FEDERATION/domains", Handle: a.authDomains, Doc: "list domains that a token can be for (old address)"},
		{Method: "GET", Path: "/v3/OS-REVOKE/events", Handle: a.listRevocations, Doc: "list revocation events"},
		{Method: "GET", Path: "/v3/auth/system", Handle: a.authSystem, Doc: "list systems that a token can be for"},
	}
}

func (a *api) peopleRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/users", Handle: a.listUsers, Doc: "list users"},
		{Method: "POST", Path: "/v3/users", Handle: a.createUser, Doc: "create a user"},
		{Method: "GET", Path: "/v3/users/{user_id}", Handle: a.showUser, Doc: "show a user"},
		{Method: "PATCH", Path: "/v3/users/{user_id}", Handle: a.updateUser, Doc: "update a user"},
		{Method: "DELETE", Path: "/v3/users/{user_id}", Handle: a.deleteUser, Doc: "delete a user"},
		{Method: "POST", Path: "/v3/users/{user_id}/password", Public: true, Handle: a.changePassword, Doc: "change one's password"},
		{Method: "GET", Path: "/v3/users/{user_id}/groups", Handle: a.userGroups, Doc: "list the groups of a user"},
		{Method: "GET", Path: "/v3/users/{user_id}/projects", Handle: a.userProjects, Doc: "list the projects of a user"},

		{Method: "GET", Path: "/v3/groups", Handle: a.listGroups, Doc: "list groups"},
		{Method: "POST", Path: "/v3/groups", Handle: a.createGroup, Doc: "create a group"},
		{Method: "GET", Path: "/v3/groups/{group_id}", Handle: a.showGroup, Doc: "show a group"},
		{Method: "PATCH", Path: "/v3/groups/{group_id}", Handle: a.updateGroup, Doc: "update a group"},
		{Method: "DELETE", Path: "/v3/groups/{group_id}", Handle: a.deleteGroup, Doc: "delete a group"},
		{Method: "GET", Path: "/v3/groups/{group_id}/users", Handle: a.groupUsers, Doc: "list the users in a group"},
		{Method: "GET", Path: "/v3/groups/{group_id}/users/{user_id}", Handle: a.checkMember, Doc: "check that a user is in a group"},
		{Method: "PUT", Path: "/v3/groups/{group_id}/users/{user_id}", Handle: a.addMember, Doc: "add a user to a group"},
		{Method: "DELETE", Path: "/v3/groups/{group_id}/users/{user_id}", Handle: a.removeMember, Doc: "remove a user from a group"},
	}
}

func (a *api) projectRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/projects", Handle: a.listProjects, Doc: "list projects"},
		{Method: "POST", Path: "/v3/projects", Handle: a.createProject, Doc: "create a project"},
		{Method: "GET", Path: "/v3/projects/{project_id}", Handle: a.showProject, Doc: "show a project"},
		{Method: "PATCH", Path: "/v3/projects/{project_id}", Handle: a.updateProject, Doc: "update a project"},
		{Method: "DELETE", Path: "/v3/projects/{project_id}", Handle: a.deleteProject, Doc: "delete a project"},
		{Method: "GET", Path: "/v3/projects/{project_id}/tags", Handle: a.listTags, Doc: "list the tags of a project"},
		{Method: "PUT", Path: "/v3/projects/{project_id}/tags", Handle: a.setTags, Doc: "replace the tags of a project"},
		{Method: "DELETE", Path: "/v3/projects/{project_id}/tags", Handle: a.clearTags, Doc: "remove the tags of a project"},
		{Method: "GET", Path: "/v3/projects/{project_id}/tags/{tag}", Handle: a.checkTag, Doc: "check a tag of a project"},
		{Method: "PUT", Path: "/v3/projects/{project_id}/tags/{tag}", Handle: a.addTag, Doc: "add a tag to a project"},
		{Method: "DELETE", Path: "/v3/projects/{project_id}/tags/{tag}", Handle: a.removeTag, Doc: "remove a tag from a project"},

		{Method: "GET", Path: "/v3/domains", Handle: a.listDomains, Doc: "list domains"},
		{Method: "POST", Path: "/v3/domains", Handle: a.createDomain, Doc: "create a domain"},
		{Method: "GET", Path: "/v3/domains/{domain_id}", Handle: a.showDomain, Doc: "show a domain"},
		{Method: "PATCH", Path: "/v3/domains/{domain_id}", Handle: a.updateDomain, Doc: "update a domain"},
		{Method: "DELETE", Path: "/v3/domains/{domain_id}", Handle: a.deleteDomain, Doc: "delete a domain"},
	}
}

func (a *api) roleRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/roles", Handle: a.listRoles, Doc: "list roles"},
		{Method: "POST", Path: "/v3/roles", Handle: a.createRole, Doc: "create a role"},
		{Method: "GET", Path: "/v3/roles/{role_id}", Handle: a.showRole, Doc: "show a role"},
		{Method: "PATCH", Path: "/v3/roles/{role_id}", Handle: a.updateRole, Doc: "update a role"},
		{Method: "DELETE", Path: "/v3/roles/{role_id}", Handle: a.deleteRole, Doc: "delete a role"},
		{Method: "GET", Path: "/v3/roles/{role_id}/implies", Handle: a.listImplied, Doc: "list the roles that a role implies"},
		{Method: "GET", Path: "/v3/roles/{role_id}/implies/{implied_id}", Handle: a.showInference, Doc: "show an implied role"},
		{Method: "PUT", Path: "/v3/roles/{role_id}/implies/{implied_id}", Handle: a.createInference, Doc: "have a role imply another"},
		{Method: "DELETE", Path: "/v3/roles/{role_id}/implies/{implied_id}", Handle: a.deleteInference, Doc: "end an implication"},
		{Method: "GET", Path: "/v3/role_inferences", Handle: a.listInferences, Doc: "list all implied roles"},
		{Method: "GET", Path: "/v3/role_assignments", Handle: a.listAssignments, Doc: "list role assignments"},
	}
}

func (a *api) catalogRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/regions", Handle: a.listRegions, Doc: "list regions"},
		{Method: "POST", Path: "/v3/regions", Handle: a.createRegion, Doc: "create a region"},
		{Method: "PUT", Path: "/v3/regions/{region_id}", Handle: a.createRegion, Doc: "create a region with an id"},
		{Method: "GET", Path: "/v3/regions/{region_id}", Handle: a.showRegion, Doc: "show a region"},
		{Method: "PATCH", Path: "/v3/regions/{region_id}", Handle: a.updateRegion, Doc: "update a region"},
		{Method: "DELETE", Path: "/v3/regions/{region_id}", Handle: a.deleteRegion, Doc: "delete a region"},
		{Method: "GET", Path: "/v3/services", Handle: a.listServices, Doc: "list services"},
		{Method: "POST", Path: "/v3/services", Handle: a.createService, Doc: "create a service"},
		{Method: "GET", Path: "/v3/services/{service_id}", Handle: a.showService, Doc: "show a service"},
		{Method: "PATCH", Path: "/v3/services/{service_id}", Handle: a.updateService, Doc: "update a service"},
		{Method: "DELETE", Path: "/v3/services/{service_id}", Handle: a.deleteService, Doc: "delete a service"},
		{Method: "GET", Path: "/v3/endpoints", Handle: a.listEndpoints, Doc: "list endpoints"},
		{Method: "POST", Path: "/v3/endpoints", Handle: a.createEndpoint, Doc: "create an endpoint"},
		{Method: "GET", Path: "/v3/endpoints/{endpoint_id}", Handle: a.showEndpoint, Doc: "show an endpoint"},
		{Method: "PATCH", Path: "/v3/endpoints/{endpoint_id}", Handle: a.updateEndpoint, Doc: "update an endpoint"},
		{Method: "DELETE", Path: "/v3/endpoints/{endpoint_id}", Handle: a.deleteEndpoint, Doc: "delete an endpoint"},

		{Method: "GET", Path: "/v3/policies", Handle: a.listPolicies, Doc: "list policies"},
		{Method: "POST", Path: "/v3/policies", Handle: a.createPolicy, Doc: "create a policy"},
		{Method: "GET", Path: "/v3/policies/{policy_id}", Handle: a.showPolicy, Doc: "show a policy"},
		{Method: "PATCH", Path: "/v3/policies/{policy_id}", Handle: a.updatePolicy, Doc: "update a policy"},
		{Method: "DELETE", Path: "/v3/policies/{policy_id}", Handle: a.deletePolicy, Doc: "delete a policy"},

		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoint_groups", Handle: a.listEndpointGroups, Doc: "list endpoint groups"},
		{Method: "POST", Path: "/v3/OS-EP-FILTER/endpoint_groups", Handle: a.createEndpointGroup, Doc: "create an endpoint group"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}", Handle: a.showEndpointGroup, Doc: "show an endpoint group"},
		{Method: "PATCH", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}", Handle: a.updateEndpointGroup, Doc: "update an endpoint group"},
		{Method: "DELETE", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}", Handle: a.deleteEndpointGroup, Doc: "delete an endpoint group"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}/endpoints", Handle: a.groupEndpoints, Doc: "list the endpoints of an endpoint group"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects", Handle: a.associatedProjects, Doc: "list the projects that see an endpoint group"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects/{project_id}", Handle: a.checkAssociation, Doc: "check that a project sees an endpoint group"},
		{Method: "PUT", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects/{project_id}", Handle: a.associate, Doc: "show a project an endpoint group"},
		{Method: "DELETE", Path: "/v3/OS-EP-FILTER/endpoint_groups/{group_id}/projects/{project_id}", Handle: a.dissociate, Doc: "hide an endpoint group from a project"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects", Handle: a.associatedProjects, Doc: "list the projects that see an endpoint"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/projects/{project_id}/endpoints", Handle: a.projectEndpoints, Doc: "list the endpoints that a project sees"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/projects/{project_id}/endpoint_groups", Handle: a.projectEndpointGroups, Doc: "list the endpoint groups that a project sees"},
		{Method: "GET", Path: "/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}", Handle: a.checkAssociation, Doc: "check that a project sees an endpoint"},
		{Method: "PUT", Path: "/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}", Handle: a.associate, Doc: "show a project an endpoint"},
		{Method: "DELETE", Path: "/v3/OS-EP-FILTER/projects/{project_id}/endpoints/{endpoint_id}", Handle: a.dissociate, Doc: "hide an endpoint from a project"},
	}
}

func (a *api) limitRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/registered_limits", Handle: a.listRegisteredLimits, Doc: "list registered limits"},
		{Method: "POST", Path: "/v3/registered_limits", Handle: a.createRegisteredLimits, Doc: "create registered limits"},
		{Method: "GET", Path: "/v3/registered_limits/{id}", Handle: a.showRegisteredLimit, Doc: "show a registered limit"},
		{Method: "PATCH", Path: "/v3/registered_limits/{id}", Handle: a.updateRegisteredLimit, Doc: "update a registered limit"},
		{Method: "DELETE", Path: "/v3/registered_limits/{id}", Handle: a.deleteRegisteredLimit, Doc: "delete a registered limit"},
		{Method: "GET", Path: "/v3/limits", Handle: a.listLimits, Doc: "list limits"},
		{Method: "POST", Path: "/v3/limits", Handle: a.createLimits, Doc: "create limits"},
		{Method: "GET", Path: "/v3/limits/model", Handle: a.limitModel, Doc: "show how limits are enforced"},
		{Method: "GET", Path: "/v3/limits/{id}", Handle: a.showLimit, Doc: "show a limit"},
		{Method: "PATCH", Path: "/v3/limits/{id}", Handle: a.updateLimit, Doc: "update a limit"},
		{Method: "DELETE", Path: "/v3/limits/{id}", Handle: a.deleteLimit, Doc: "delete a limit"},
	}
}

func (a *api) delegationRoutes() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/v3/credentials", Handle: a.listCredentials, Doc: "list credentials"},
		{Method: "POST", Path: "/v3/credentials", Handle: a.createCredential, Doc: "create a credential"},
		{Method: "GET", Path: "/v3/credentials/{credential_id}", Handle: a.showCredential, Doc: "show a credential"},
		{Method: "PATCH", Path: "/v3/credentials/{credential_id}", Handle: a.updateCredential, Doc: "update a credential"},
		{Method: "DELETE", Path: "/v3/credentials/{credential_id}", Handle: a.deleteCredential, Doc: "delete a credential"},

		{Method: "GET", Path: "/v3/users/{user_id}/credentials/OS-EC2", Handle: a.listEC2Keys, Doc: "list EC2 key pairs"},
		{Method: "POST", Path: "/v3/users/{user_id}/credentials/OS-EC2", Handle: a.createEC2Key, Doc: "create an EC2 key pair"},
		{Method: "GET", Path: "/v3/users/{user_id}/credentials/OS-EC2/{access}", Handle: a.showEC2Key, Doc: "show an EC2 key pair"},
		{Method: "DELETE", Path: "/v3/users/{user_id}/credentials/OS-EC2/{access}", Handle: a.deleteEC2Key, Doc: "delete an EC2 key pair"},
		{Method: "POST", Path: "/v3/ec2tokens", Handle: a.ec2Token, Doc: "a token for a signed EC2 request"},
		{Method: "POST", Path: "/v3/s3tokens", Handle: a.s3Token, Doc: "a token for a signed S3 request"},

		{Method: "GET", Path: "/v3/users/{user_id}/application_credentials", Handle: a.listAppCreds, Doc: "list application credentials"},
		{Method: "POST", Path: "/v3/users/{user_id}/application_credentials", Handle: a.createAppCred, Doc: "create an application credential"},
		{Method: "GET", Path: "/v3/users/{user_id}/application_credentials/{id}", Handle: a.showAppCred, Doc: "show an application credential"},
		{Method: "DELETE", Path: "/v3/users/{user_id}/application_credentials/{id}", Handle: a.deleteAppCred, Doc: "delete an application credential"},
		{Method: "GET", Path: "/v3/users/{user_id}/access_rules", Handle: a.listAccessRules, Doc: "list access rules"},
		{Method: "GET", Path: "/v3/users/{user_id}/access_rules/{id}", Handle: a.showAccessRule, Doc: "show an access rule"},
		{Method: "DELETE", Path: "/v3/users/{user_id}/access_rules/{id}", Handle: a.deleteAccessRule, Doc: "delete an access rule"},

		{Method: "GET", Path: "/v3/OS-TRUST/trusts", Handle: a.listTrusts, Doc: "list trusts"},
		{Method: "POST", Path: "/v3/OS-TRUST/trusts", Handle: a.createTrust, Doc: "create a trust"},
		{Method: "GET", Path: "/v3/OS-TRUST/trusts/{trust_id}", Handle: a.showTrust, Doc: "show a trust"},
		{Method: "DELETE", Path: "/v3/OS-TRUST/trusts/{trust_id}", Handle: a.deleteTrust, Doc: "delete a trust"},
		{Method: "GET", Path: "/v3/OS-TRUST/trusts/{trust_id}/roles", Handle: a.trustRoles, Doc: "list the roles of a trust"},
		{Method: "GET", Path: "/v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}", Handle: a.trustRole, Doc: "show a role of a trust"},
	}
}
