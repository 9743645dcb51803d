package api

import (
	"slices"

	"kilonova/internal/rest"
)

// routes is the table of the compute API's operations.
func (a *api) routes() []rest.Route {
	all := slices.Concat(a.general(), a.servers(), a.serverActions(), a.serverParts(), a.flavors(), a.keypairsAndQuotas(), a.hosts(),
		a.aggregates(),
		a.moves(),
		a.own(),
		a.serverGroups(),
		a.guestPassword(),
		a.stays(),
		a.aged(),
		a.gone())
	return append(all, bootedFromVolumes(all)...)
}

func (a *api) general() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/", Public: true, Handle: a.root, Doc: "list API versions"},
		{Method: "GET", Path: "/versions/{id}", Handle: a.showVersion, Doc: "show API version"},
		{Method: "GET", Path: "/extensions", Handle: a.listExtensions, Doc: "list extensions"},
		{Method: "GET", Path: "/extensions/{id}", Handle: a.showExtension, Doc: "show extension"},
		{Method: "GET", Path: "/limits", Handle: a.showLimits, Doc: "show rate and absolute limits"},
	}
}

func (a *api) servers() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers", Handle: a.listServers, Doc: "list servers"},
		{Method: "POST", Path: "/servers", Handle: a.createServer, Doc: "create server"},
		{Method: "GET", Path: "/servers/detail", Handle: a.listServersDetailed, Doc: "list servers detailed"},
		{Method: "GET", Path: "/servers/{id}", Handle: a.showServer, Doc: "show server"},
		{Method: "PUT", Path: "/servers/{id}", Handle: a.updateServer, Doc: "update server"},
		{Method: "DELETE", Path: "/servers/{id}", Handle: a.deleteServer, Doc: "delete server"},
	}
}

func (a *api) serverActions() []rest.Route {
	return []rest.Route{
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-start", Handle: a.startServer, Doc: "start server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-stop", Handle: a.stopServer, Doc: "stop server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "reboot", Handle: a.rebootServer, Doc: "reboot server, soft or hard"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "os-getConsoleOutput", Handle: a.consoleOutput, Doc: "show console output"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "addSecurityGroup", Handle: a.addSecurityGroup, Doc: "add security group to server"},
		{Method: "POST", Path: "/servers/{id}/action", Action: "removeSecurityGroup", Handle: a.removeSecurityGroup, Doc: "remove security group from server"},
	}
}

func (a *api) serverParts() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/servers/{id}/metadata", Handle: a.listMetadata, Doc: "list all metadata"},
		{Method: "POST", Path: "/servers/{id}/metadata", Handle: a.mergeMetadata, Doc: "create or update metadata items"},
		{Method: "PUT", Path: "/servers/{id}/metadata", Handle: a.replaceMetadata, Doc: "replace metadata"},
		{Method: "GET", Path: "/servers/{id}/metadata/{key}", Handle: a.showMetadataItem, Doc: "show metadata item"},
		{Method: "PUT", Path: "/servers/{id}/metadata/{key}", Handle: a.setMetadataItem, Doc: "set metadata item"},
		{Method: "DELETE", Path: "/servers/{id}/metadata/{key}", Handle: a.deleteMetadataItem, Doc: "delete metadata item"},

		{Method: "GET", Path: "/servers/{id}/ips", Handle: a.listAddresses, Doc: "list addresses"},
		{Method: "GET", Path: "/servers/{id}/ips/{network}", Handle: a.showAddresses, Doc: "list addresses on one network"},
		{Method: "GET", Path: "/servers/{id}/os-security-groups", Handle: a.listServerSecurityGroups, Doc: "list security groups of server"},
		{Method: "GET", Path: "/servers/{id}/os-interface", Handle: a.listInterfaces, Doc: "list port interfaces"},
		{Method: "POST", Path: "/servers/{id}/os-interface", Handle: a.attachInterface, Doc: "attach interface"},
		{Method: "GET", Path: "/servers/{id}/os-interface/{port}", Handle: a.showInterface, Doc: "show port interface"},
		{Method: "DELETE", Path: "/servers/{id}/os-interface/{port}", Handle: a.detachInterface, Doc: "detach interface"},
		{Method: "GET", Path: "/servers/{id}/os-instance-actions", Handle: a.listActions, Doc: "list actions of server"},
		{Method: "GET", Path: "/servers/{id}/os-instance-actions/{request}", Handle: a.showAction, Doc: "show action of server"},
	}
}

func (a *api) flavors() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/flavors", Handle: a.listFlavors, Doc: "list flavors"},
		{Method: "POST", Path: "/flavors", Handle: a.createFlavor, Doc: "create flavor"},
		{Method: "GET", Path: "/flavors/detail", Handle: a.listFlavorsDetailed, Doc: "list flavors detailed"},
		{Method: "GET", Path: "/flavors/{id}", Handle: a.showFlavor, Doc: "show flavor"},
		{Method: "PUT", Path: "/flavors/{id}", Versions: "2.55-", Handle: a.updateFlavor, Doc: "update flavor description"},
		{Method: "DELETE", Path: "/flavors/{id}", Handle: a.deleteFlavor, Doc: "delete flavor"},
		{Method: "POST", Path: "/flavors/{id}/action", Action: "addTenantAccess", Handle: a.addFlavorAccess, Doc: "add flavor access to project"},
		{Method: "POST", Path: "/flavors/{id}/action", Action: "removeTenantAccess", Handle: a.removeFlavorAccess, Doc: "remove flavor access from project"},
		{Method: "GET", Path: "/flavors/{id}/os-flavor-access", Handle: a.listFlavorAccess, Doc: "list flavor access"},
		{Method: "GET", Path: "/flavors/{id}/os-extra_specs", Handle: a.listExtraSpecs, Doc: "list extra specs"},
		{Method: "POST", Path: "/flavors/{id}/os-extra_specs", Handle: a.createExtraSpecs, Doc: "create extra specs"},
		{Method: "GET", Path: "/flavors/{id}/os-extra_specs/{key}", Handle: a.showExtraSpec, Doc: "show extra spec"},
		{Method: "PUT", Path: "/flavors/{id}/os-extra_specs/{key}", Handle: a.updateExtraSpec, Doc: "update extra spec"},
		{Method: "DELETE", Path: "/flavors/{id}/os-extra_specs/{key}", Handle: a.deleteExtraSpec, Doc: "delete extra spec"},
	}
}

func (a *api) keypairsAndQuotas() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/os-keypairs", Handle: a.listKeypairs, Doc: "list keypairs"},
		{Method: "POST", Path: "/os-keypairs", Handle: a.createKeypair, Doc: "create or import keypair"},
		{Method: "GET", Path: "/os-keypairs/{name}", Handle: a.showKeypair, Doc: "show keypair"},
		{Method: "DELETE", Path: "/os-keypairs/{name}", Handle: a.deleteKeypair, Doc: "delete keypair"},

		{Method: "GET", Path: "/os-quota-sets/{project}", Handle: a.showQuotas, Doc: "show quota of project"},
		{Method: "PUT", Path: "/os-quota-sets/{project}", Handle: a.updateQuotas, Doc: "update quota of project"},
		{Method: "DELETE", Path: "/os-quota-sets/{project}", Handle: a.deleteQuotas, Doc: "revert quota of project to defaults"},
		{Method: "GET", Path: "/os-quota-sets/{project}/defaults", Handle: a.defaultQuotas, Doc: "show default quota"},
		{Method: "GET", Path: "/os-quota-sets/{project}/detail", Handle: a.detailQuotas, Doc: "show quota with what is in use"},
		{Method: "GET", Path: "/os-quota-class-sets/{class}", Handle: a.showQuotaClass, Doc: "show quota class"},
		{Method: "PUT", Path: "/os-quota-class-sets/{class}", Handle: a.updateQuotaClass, Doc: "update quota class"},
	}
}

func (a *api) hosts() []rest.Route {
	return []rest.Route{
		{Method: "GET", Path: "/os-availability-zone", Handle: a.listZones, Doc: "list availability zones"},
		{Method: "GET", Path: "/os-availability-zone/detail", Handle: a.listZonesDetailed, Doc: "list availability zones with hosts"},
		{Method: "GET", Path: "/os-services", Handle: a.listServices, Doc: "list compute services"},
		{Method: "PUT", Path: "/os-services/{id}", Handle: a.updateService, Doc: "enable, disable or force down a service"},
		{Method: "DELETE", Path: "/os-services/{id}", Handle: a.deleteService, Doc: "delete service"},
		{Method: "GET", Path: "/os-hypervisors", Handle: a.listHypervisors, Doc: "list hypervisors"},
		{Method: "GET", Path: "/os-hypervisors/detail", Handle: a.listHypervisorsDetailed, Doc: "list hypervisors detailed"},
		{Method: "GET", Path: "/os-hypervisors/statistics", Versions: "2.1-2.87", Handle: a.hypervisorStatistics, Doc: "sum of all hypervisors"},
		{Method: "GET", Path: "/os-hypervisors/{id}/uptime", Versions: "2.1-2.87", Handle: a.hypervisorUptime, Doc: "show uptime of hypervisor"},
		{Method: "GET", Path: "/os-hypervisors/{id}/search", Versions: "2.1-2.52", Handle: a.searchHypervisors, Doc: "search hypervisors by name"},
		{Method: "GET", Path: "/os-hypervisors/{id}/servers", Versions: "2.1-2.52", Handle: a.hypervisorServers, Doc: "list servers of hypervisors found by name"},
		{Method: "GET", Path: "/os-hypervisors/{id}", Handle: a.showHypervisor, Doc: "show hypervisor"},

		{Method: "POST", Path: "/os-server-external-events", Handle: a.externalEvents, Doc: "tell of events outside"},
	}
}
