package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/config"
	"github.com/gophercloud/gophercloud/v2/openstack/config/clouds"
	"github.com/spf13/cobra"
)

func whyCommand() *cobra.Command {
	var cloud string
	var asJSON bool
	cmd := &cobra.Command{Use: "why SERVER", Short: "Say why a server is on its host, or on none", Args: cobra.ExactArgs(1),
		Long: "Reads over the API, as an administrator, how the scheduler came to its decisions about a server (a name or an id):\n" +
			"filter by filter, how many hosts were left and why the others were refused, and what made the chosen one the best.\n" +
			"The cloud is the one of OS_CLOUD in clouds.yaml, or that of the OS_* variables.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			client, err := computeClient(ctx, cloud)
			if err != nil {
				return err
			}
			id, err := serverID(ctx, client, args[0])
			if err != nil {
				return plainly(err)
			}
			var raw json.RawMessage
			resp, err := client.Get(ctx, client.ServiceURL("servers", id, "kilonova-placement"), &raw, &gophercloud.RequestOpts{OkCodes: []int{200}})
			if err != nil {
				return plainly(err)
			}
			defer resp.Body.Close()
			if asJSON {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
				return err
			}
			var out struct{ Placements []placement }
			if err := json.Unmarshal(raw, &out); err != nil {
				return err
			}
			if len(out.Placements) == 0 {
				fmt.Fprintf(cmd.OutOrStdout(), "No decision about server %s is on record: it has none yet, or it is older than what is kept.\n", id)
			}
			for i := range out.Placements {
				out.Placements[i].write(cmd.OutOrStdout())
			}
			return nil
		}}
	cmd.Flags().StringVar(&cloud, "os-cloud", "", "`name` of a cloud in clouds.yaml")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the record as it is")
	return cmd
}

// computeClient logs in as any OpenStack client does.
func computeClient(ctx context.Context, cloud string) (*gophercloud.ServiceClient, error) {
	endpoint := gophercloud.EndpointOpts{Region: os.Getenv("OS_REGION_NAME")}
	provider := (*gophercloud.ProviderClient)(nil)
	if cloud == "" && os.Getenv("OS_CLOUD") == "" {
		auth, err := authOfEnvironment()
		if err != nil {
			return nil, err
		}
		if provider, err = openstack.AuthenticatedClient(ctx, auth); err != nil {
			return nil, err
		}
		return openstack.NewComputeV2(provider, endpoint)
	}
	var options []clouds.ParseOption
	if cloud != "" {
		options = append(options, clouds.WithCloudName(cloud))
	}
	if file := os.Getenv("OS_CLIENT_CONFIG_FILE"); file != "" {
		options = append(options, clouds.WithLocations(file))
	}
	auth, endpoint, tls, err := clouds.Parse(options...)
	if err != nil {
		return nil, err
	}
	if provider, err = config.NewProviderClient(ctx, auth, config.WithTLSConfig(tls)); err != nil {
		return nil, err
	}
	return openstack.NewComputeV2(provider, endpoint)
}

// authOfEnvironment reads what an openrc file exports. The library's own reader
// wants a project's id where the domains of user and project are named apart.
func authOfEnvironment() (gophercloud.AuthOptions, error) {
	get := func(names ...string) string {
		for _, name := range names {
			if value := os.Getenv(name); value != "" {
				return value
			}
		}
		return ""
	}
	auth := gophercloud.AuthOptions{IdentityEndpoint: get("OS_AUTH_URL"), Username: get("OS_USERNAME"), UserID: get("OS_USER_ID"), Password: get("OS_PASSWORD"),
		TokenID: get("OS_TOKEN"), ApplicationCredentialID: get("OS_APPLICATION_CREDENTIAL_ID"), ApplicationCredentialSecret: get("OS_APPLICATION_CREDENTIAL_SECRET")}
	if auth.IdentityEndpoint == "" {
		return auth, errors.New("neither OS_CLOUD nor OS_AUTH_URL says which cloud")
	}
	if auth.TokenID == "" && auth.UserID == "" && auth.ApplicationCredentialID == "" {
		auth.DomainID, auth.DomainName = get("OS_USER_DOMAIN_ID"), ""
		if auth.DomainID == "" {
			auth.DomainName = cmp.Or(get("OS_USER_DOMAIN_NAME", "OS_DOMAIN_NAME"), "Default")
		}
	}
	if auth.ApplicationCredentialID == "" {
		auth.Scope = &gophercloud.AuthScope{ProjectID: get("OS_PROJECT_ID", "OS_TENANT_ID")}
		if auth.Scope.ProjectID == "" {
			auth.Scope.ProjectName = get("OS_PROJECT_NAME", "OS_TENANT_NAME")
			if auth.Scope.DomainID = get("OS_PROJECT_DOMAIN_ID"); auth.Scope.DomainID == "" {
				auth.Scope.DomainName = cmp.Or(get("OS_PROJECT_DOMAIN_NAME", "OS_DOMAIN_NAME"), "Default")
			}
		}
	}
	return auth, nil
}

// plainly says what the usual reason for a refusal is, instead of which request got it.
func plainly(err error) error {
	if gophercloud.ResponseCodeIs(err, http.StatusForbidden) {
		return errors.New("the cloud does not tell this user how it decides: an administrator may ask")
	}
	return err
}

// serverID finds a server of any project by its id or its name.
func serverID(ctx context.Context, client *gophercloud.ServiceClient, text string) (string, error) {
	_, err := servers.Get(ctx, client, text).Extract()
	if err == nil {
		return text, nil
	}
	if !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return "", err
	}
	pages, err := servers.ListSimple(client, servers.ListOpts{Name: "^" + regexp.QuoteMeta(text) + "$", AllTenants: true, Limit: 2}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	found, err := servers.ExtractServers(pages)
	if err != nil {
		return "", err
	}
	found = slices.DeleteFunc(found, func(s servers.Server) bool { return s.Name != text })
	switch len(found) {
	case 0:
		return "", fmt.Errorf("there is no server %s", text)
	case 1:
		return found[0].ID, nil
	}
	return "", fmt.Errorf("several servers are called %s; say which by its id", text)
}

// placement is one decision, as GET /servers/ID/kilonova-placement tells it.
type placement struct {
	DecidedAt string  `json:"decided_at"`
	RequestID string  `json:"request_id"`
	Host      string  `json:"host"`
	Refusal   string  `json:"refusal"`
	Driver    string  `json:"driver"`
	Took      float64 `json:"took_ms"`
	Together  int     `json:"decided_together"`

	Explanation struct {
		Hosts, Left int
		Filters     []struct {
			Filter  string
			In, Out int
			Reasons []struct {
				Why   string
				Hosts int
			}
			Refused []struct{ Host, Node, Why string }
			More    int
		}
		Weighed []struct {
			Host   string
			Weight float64
			Parts  map[string]float64
		}
	}
}

func (p *placement) write(w io.Writer) {
	what := "on host " + p.Host
	if p.Host == "" {
		what = "on no host: " + p.Refusal
	}
	fmt.Fprintf(w, "%s  %s\n  request %s, scheduler %s, %.1f ms", p.DecidedAt, what, p.RequestID, p.Driver, p.Took)
	if p.Together > 1 {
		fmt.Fprintf(w, " with %d other servers", p.Together-1)
	}
	fmt.Fprintf(w, "\n  %d hosts\n", p.Explanation.Hosts)
	for _, f := range p.Explanation.Filters {
		fmt.Fprintf(w, "  %-32s %6d left", f.Filter, f.Out)
		for i, r := range f.Reasons {
			separator := ", "
			if i == 0 {
				separator = "; refused "
			}
			fmt.Fprintf(w, "%s%d %s", separator, r.Hosts, r.Why)
		}
		fmt.Fprintln(w)
		for _, r := range f.Refused {
			fmt.Fprintf(w, "      %s: %s\n", r.Host, r.Why)
		}
		if f.More > 0 && len(f.Refused) > 0 {
			fmt.Fprintf(w, "      and %d more\n", f.More)
		}
	}
	for i, h := range p.Explanation.Weighed {
		if i == 0 {
			fmt.Fprintln(w, "  the best by weight:")
		}
		fmt.Fprintf(w, "      %s %.4g%s\n", h.Host, h.Weight, parts(h.Parts))
	}
}

func parts(all map[string]float64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, fmt.Sprintf("%s %+.4g", name, all[name]))
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}
