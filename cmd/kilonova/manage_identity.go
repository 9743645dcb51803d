package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

// manageIdentityCommand has what keystone-manage does, under its names.
func manageIdentityCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "identity", Short: "Keys, directories and records of the identity service"}
	cmd.AddCommand(identityBootstrap(), identityDomainConfig(), identityMappingEngine(), identitySigningKeys(), identityTrustFlush(), identityMappingPurge(), identityMappingPopulate(),
		identityProjectSetup(), identityUserSetup(), identityResetLastActive())
	for _, c := range []struct {
		use, short string
		aliases    []string
		do         func(ctx context.Context, t *stack.IdentityTool) (string, error)
	}{
		{"db-sync", "Make the database, or bring it up to date", nil, opened},
		{"fernet-setup", "Make the keys of tokens, if there are none", []string{"token-setup"}, opened},
		{"fernet-rotate", "Make the staged key of tokens the primary one", []string{"token-rotate", "rotate-keys"}, func(_ context.Context, t *stack.IdentityTool) (string, error) {
			return "rotated", t.RotateTokenKeys()
		}},
		{"receipt-setup", "Make the keys of receipts, if there are none", nil, opened},
		{"receipt-rotate", "Make the staged key of receipts the primary one", nil, func(_ context.Context, t *stack.IdentityTool) (string, error) {
			return "rotated", t.RotateReceiptKeys()
		}},
		{"credential-setup", "Make the keys of credentials, if there are none", nil, opened},
		{"credential-rotate", "Make the staged key of credentials the primary one", nil, func(ctx context.Context, t *stack.IdentityTool) (string, error) {
			return "rotated", t.RotateCredentialKeys(ctx)
		}},
		{"credential-migrate", "Encrypt all credentials with the primary key", nil, func(ctx context.Context, t *stack.IdentityTool) (string, error) {
			n, err := t.MigrateCredentials(ctx)
			return fmt.Sprintf("%d credentials encrypted anew", n), err
		}},
		{"db-version", "Name the newest change to the database's tables", nil, func(ctx context.Context, t *stack.IdentityTool) (string, error) {
			return t.Version(ctx)
		}},
		{"doctor", "Say what in the configuration and the records wants care", nil, func(ctx context.Context, t *stack.IdentityTool) (string, error) {
			return diagnosis(t.Symptoms(ctx))
		}},
		{"saml-idp-metadata", "Write the metadata of this cloud as a SAML identity provider", nil, func(_ context.Context, t *stack.IdentityTool) (string, error) {
			return t.SAMLMetadata()
		}},
	} {
		sub := toolCommand(stack.OpenIdentity, c.use, c.short, c.do)
		sub.Aliases = c.aliases
		cmd.AddCommand(sub)
	}
	for _, sub := range cmd.Commands() { // as keystone-manage writes them
		for _, name := range append(sub.Aliases, sub.Name()) {
			if upstream := strings.ReplaceAll(name, "-", "_"); upstream != name {
				sub.Aliases = append(sub.Aliases, upstream)
			}
		}
	}
	return cmd
}

// opened has been done by opening the service.
func opened(context.Context, *stack.IdentityTool) (string, error) { return "done", nil }

func identityBootstrap() *cobra.Command {
	var b stack.IdentityBootstrap
	cmd := toolCommand(stack.OpenIdentity, "bootstrap", "Make the first administrator, the roles and the identity service's endpoints", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		if b.Password == "" {
			b.Password = os.Getenv("OS_BOOTSTRAP_PASSWORD")
		}
		return "done", t.Bootstrap(ctx, b)
	})
	for _, f := range []struct {
		option      *string
		name, usage string
	}{{&b.User, "bootstrap-username", "`name` of the administrator"}, {&b.Password, "bootstrap-password", "`password`; OS_BOOTSTRAP_PASSWORD is read, too"},
		{&b.Project, "bootstrap-project-name", "`name` of the administrator's project"}, {&b.Region, "bootstrap-region-id", "`id` of the region"},
		{&b.Service, "bootstrap-service-name", "`name` of the identity service"}, {&b.Public, "bootstrap-public-url", "`URL` of the public endpoint"},
		{&b.Internal, "bootstrap-internal-url", "`URL` of the internal endpoint"}, {&b.Admin, "bootstrap-admin-url", "`URL` of the administrators' endpoint"}} {
		cmd.Flags().StringVar(f.option, f.name, "", f.usage)
	}
	return cmd
}

func identityDomainConfig() *cobra.Command {
	var domain, file string
	cmd := toolCommand(stack.OpenIdentity, "domain-config-upload", "Give a domain the configuration of a file (TOML)", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		return "done", t.ConfigureDomain(ctx, domain, file)
	})
	cmd.Flags().StringVar(&domain, "domain-name", "", "`name` of the domain")
	cmd.Flags().StringVar(&file, "file", "", "`file` with the sections [identity] and [ldap]")
	return required(cmd, "domain-name", "file")
}

func required(cmd *cobra.Command, flags ...string) *cobra.Command {
	for _, f := range flags {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err) // there is no such flag: part of the program
		}
	}
	return cmd
}

func identityMappingEngine() *cobra.Command {
	var rules, input, prefix, schema string
	cmd := &cobra.Command{Use: "mapping-engine", Short: "Try the rules of a mapping on an assertion", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		text, err := stack.TryMapping(schema, rules, input, prefix)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), text)
		}
		return err
	}}
	cmd.Flags().StringVar(&rules, "rules", "", "`file` with the rules (JSON)")
	cmd.Flags().StringVar(&input, "input", "", "`file` with the assertion, lines of NAME: VALUE")
	cmd.Flags().StringVar(&prefix, "prefix", "", "`prefix` of the names that count")
	cmd.Flags().StringVar(&schema, "mapping-schema-version", "", "`version` of the rules' schema")
	return required(cmd, "rules", "input")
}

func identitySigningKeys() *cobra.Command {
	var dir string
	cmd := &cobra.Command{Use: "create-jws-keypair", Short: "Write a pair of keys for signed tokens", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return stack.CreateSigningKeys(dir)
	}}
	cmd.Flags().StringVar(&dir, "target-directory", ".", "`folder` for private.pem and public.pem")
	return cmd
}

func identityTrustFlush() *cobra.Command {
	var project, trustor, trustee, date string
	cmd := toolCommand(stack.OpenIdentity, "trust-flush", "Remove trusts that have ended", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		n, err := t.FlushTrusts(ctx, project, trustor, trustee, date)
		return fmt.Sprintf("%d trusts removed", n), err
	})
	cmd.Flags().StringVar(&project, "project-id", "", "only those for a project's `id`")
	cmd.Flags().StringVar(&trustor, "trustor-user-id", "", "only those of a trustor's `id`")
	cmd.Flags().StringVar(&trustee, "trustee-user-id", "", "only those for a trustee's `id`")
	cmd.Flags().StringVar(&date, "date", "", "only those that ended before a `day`, 2006-01-02")
	return cmd
}

func identityMappingPurge() *cobra.Command {
	var all bool
	var domain, public, local, kind string
	cmd := toolCommand(stack.OpenIdentity, "mapping-purge", "Forget users and groups of directories", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		if all == (domain+public+local+kind != "") {
			return "", errors.New("either --all, or what is to be forgotten")
		}
		if kind != "" && kind != "user" && kind != "group" {
			return "", fmt.Errorf("--type is user or group, and not %q", kind)
		}
		if local != "" && domain == "" {
			return "", errors.New("--local-id needs --domain-name")
		}
		n, err := t.PurgeDirectory(ctx, domain, public, local, kind)
		return fmt.Sprintf("%d forgotten", n), err
	})
	cmd.Flags().BoolVar(&all, "all", false, "all of all domains")
	cmd.Flags().StringVar(&domain, "domain-name", "", "those of a domain's `name`")
	cmd.Flags().StringVar(&public, "public-id", "", "the one with an `id`")
	cmd.Flags().StringVar(&local, "local-id", "", "the one with an `id` of the directory's own")
	cmd.Flags().StringVar(&kind, "type", "", "only of a `kind`: user or group")
	return cmd
}

func identityMappingPopulate() *cobra.Command {
	var domain string
	cmd := toolCommand(stack.OpenIdentity, "mapping-populate", "Bring in the users and groups of a domain's directory", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		return "done", t.PopulateDirectory(ctx, domain)
	})
	cmd.Flags().StringVar(&domain, "domain-name", "", "`name` of the domain")
	return required(cmd, "domain-name")
}
