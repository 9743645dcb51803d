package api

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/compute/control"
)

// extensions are what the API of before v2.1 was put together from. All are part
// of v2.1; clients of then still look an alias up before they use what it named.
var extensions = []struct{ alias, name string }{
	{"NMN", "Multinic"},
	{"OS-DCF", "DiskConfig"},
	{"OS-EXT-AZ", "ExtendedAvailabilityZone"},
	{"OS-EXT-IMG-SIZE", "ImageSize"},
	{"OS-EXT-IPS", "ExtendedIps"},
	{"OS-EXT-IPS-MAC", "ExtendedIpsMac"},
	{"OS-EXT-SRV-ATTR", "ExtendedServerAttributes"},
	{"OS-EXT-STS", "ExtendedStatus"},
	{"OS-EXT-VIF-NET", "ExtendedVIFNet"},
	{"OS-FLV-DISABLED", "FlavorDisabled"},
	{"OS-FLV-EXT-DATA", "FlavorExtraData"},
	{"OS-SCH-HNT", "SchedulerHints"},
	{"OS-SRV-USG", "ServerUsage"},
	{"os-access-ips", "AccessIPs"},
	{"os-admin-actions", "AdminActions"},
	{"os-admin-password", "AdminPassword"},
	{"os-agents", "Agents"},
	{"os-aggregates", "Aggregates"},
	{"os-assisted-volume-snapshots", "AssistedVolumeSnapshots"},
	{"os-attach-interfaces", "AttachInterfaces"},
	{"os-availability-zone", "AvailabilityZone"},
	{"os-baremetal-ext-status", "BareMetalExtStatus"},
	{"os-baremetal-nodes", "BareMetalNodes"},
	{"os-block-device-mapping", "BlockDeviceMapping"},
	{"os-block-device-mapping-v2-boot", "BlockDeviceMappingV2Boot"},
	{"os-cell-capacities", "CellCapacities"},
	{"os-cells", "Cells"},
	{"os-certificates", "Certificates"},
	{"os-cloudpipe", "Cloudpipe"},
	{"os-cloudpipe-update", "CloudpipeUpdate"},
	{"os-config-drive", "ConfigDrive"},
	{"os-console-auth-tokens", "ConsoleAuthTokens"},
	{"os-console-output", "ConsoleOutput"},
	{"os-consoles", "Consoles"},
	{"os-create-backup", "CreateBackup"},
	{"os-create-server-ext", "Createserverext"},
	{"os-deferred-delete", "DeferredDelete"},
	{"os-evacuate", "Evacuate"},
	{"os-extended-evacuate-find-host", "ExtendedEvacuateFindHost"},
	{"os-extended-floating-ips", "ExtendedFloatingIps"},
	{"os-extended-hypervisors", "ExtendedHypervisors"},
	{"os-extended-networks", "ExtendedNetworks"},
	{"os-extended-quotas", "ExtendedQuotas"},
	{"os-extended-rescue-with-image", "ExtendedRescueWithImage"},
	{"os-extended-services", "ExtendedServices"},
	{"os-extended-services-delete", "ExtendedServicesDelete"},
	{"os-extended-status", "ExtendedStatus"},
	{"os-extended-volumes", "ExtendedVolumes"},
	{"os-fixed-ips", "FixedIPs"},
	{"os-flavor-access", "FlavorAccess"},
	{"os-flavor-extra-specs", "FlavorExtraSpecs"},
	{"os-flavor-manage", "FlavorManage"},
	{"os-flavor-rxtx", "FlavorRxtx"},
	{"os-flavor-swap", "FlavorSwap"},
	{"os-floating-ip-dns", "FloatingIpDns"},
	{"os-floating-ip-pools", "FloatingIpPools"},
	{"os-floating-ips", "FloatingIps"},
	{"os-floating-ips-bulk", "FloatingIpsBulk"},
	{"os-fping", "Fping"},
	{"os-hide-server-addresses", "HideServerAddresses"},
	{"os-hosts", "Hosts"},
	{"os-hypervisor-status", "HypervisorStatus"},
	{"os-hypervisors", "Hypervisors"},
	{"os-instance-actions", "InstanceActions"},
	{"os-instance_usage_audit_log", "OSInstanceUsageAuditLog"},
	{"os-keypairs", "Keypairs"},
	{"os-lock-server", "LockServer"},
	{"os-migrate-server", "MigrateServer"},
	{"os-migrations", "Migrations"},
	{"os-multiple-create", "MultipleCreate"},
	{"os-networks", "Networks"},
	{"os-networks-associate", "NetworkAssociationSupport"},
	{"os-pause-server", "PauseServer"},
	{"os-personality", "Personality"},
	{"os-preserve-ephemeral-rebuild", "PreserveEphemeralOnRebuild"},
	{"os-quota-class-sets", "QuotaClasses"},
	{"os-quota-sets", "Quotas"},
	{"os-rescue", "Rescue"},
	{"os-security-group-default-rules", "SecurityGroupDefaultRules"},
	{"os-security-groups", "SecurityGroups"},
	{"os-server-diagnostics", "ServerDiagnostics"},
	{"os-server-external-events", "ServerExternalEvents"},
	{"os-server-group-quotas", "ServerGroupQuotas"},
	{"os-server-groups", "ServerGroups"},
	{"os-server-list-multi-status", "ServerListMultiStatus"},
	{"os-server-password", "ServerPassword"},
	{"os-server-sort-keys", "ServerSortKeys"},
	{"os-server-start-stop", "ServerStartStop"},
	{"os-services", "Services"},
	{"os-shelve", "Shelve"},
	{"os-simple-tenant-usage", "SimpleTenantUsage"},
	{"os-suspend-server", "SuspendServer"},
	{"os-tenant-networks", "OSTenantNetworks"},
	{"os-used-limits", "UsedLimits"},
	{"os-used-limits-for-admin", "UsedLimitsForAdmin"},
	{"os-user-data", "UserData"},
	{"os-user-quotas", "UserQuotas"},
	{"os-virtual-interfaces", "VirtualInterfaces"},
	{"os-volume-attachment-update", "VolumeAttachmentUpdate"},
	{"os-volumes", "Volumes"},
}

// onlyLegacy is an extension that v2 had and v2.1 never did.
const onlyLegacy = "OS-EXT-VIF-NET"

type extensionView struct {
	Alias       string `json:"alias"`
	Description string `json:"description"`
	Links       []link `json:"links"`
	Name        string `json:"name"`
	Namespace   string `json:"namespace"`
	Updated     string `json:"updated"`
}

func viewsOfExtensions(r *rest.Request) []extensionView {
	views := make([]extensionView, 0, len(extensions))
	for _, e := range extensions {
		if e.alias != onlyLegacy || r.Legacy {
			views = append(views, extensionView{Alias: e.alias, Name: e.name, Description: e.name + " is part of the API.", Links: []link{},
				Namespace: "http://docs.openstack.org/compute/ext/fake_xml", Updated: "2014-12-03T00:00:00Z"})
		}
	}
	return views
}

func (a *api) listExtensions(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.May(ctx, control.RuleExtensions, auth.Own(ctx)); err != nil {
		return nil, err
	}
	return rest.OK(map[string]any{"extensions": viewsOfExtensions(r)}), nil
}

func (a *api) showExtension(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	if err := a.control.May(ctx, control.RuleExtensions, auth.Own(ctx)); err != nil {
		return nil, err
	}
	for _, v := range viewsOfExtensions(r) {
		if v.Alias == r.Path("id") {
			return rest.OK(map[string]any{"extension": v}), nil
		}
	}
	return nil, fault.NotFoundf("There is no extension %.64s.", r.Path("id"))
}
