package control

import (
	"context"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// DomainConfig is the configuration of a domain: section, option, value.
type DomainConfig map[string]map[string]any

// domainDefaults are the options that domains may set, with the values for those
// that set none. Options of ldap are kept for directory services.
func domainDefaults() DomainConfig {
	return DomainConfig{
		"identity": {"driver": "sql", "list_limit": nil},
		"ldap": {"user_description_attribute": "description", "user_enabled_invert": false, "user_enabled_mask": 0, "user_enabled_default": "True",
			"user_enabled_emulation": false, "user_enabled_emulation_dn": nil, "user_attribute_ignore": "default_project_id", "user_default_project_id_attribute": nil,
			"group_desc_attribute": "description", "group_members_are_ids": false, "group_ad_nesting": false, "connection_timeout": 10,
			"url": "ldap://localhost", "user": nil, "suffix": "cn=example,cn=com", "query_scope": "one", "page_size": 0,
			"user_tree_dn": nil, "user_filter": nil, "user_objectclass": "inetOrgPerson", "user_id_attribute": "cn", "user_name_attribute": "sn",
			"user_mail_attribute": "mail", "user_enabled_attribute": "enabled", "group_tree_dn": nil, "group_filter": nil,
			"group_objectclass": "groupOfNames", "group_id_attribute": "cn", "group_name_attribute": "ou", "group_member_attribute": "member",
			"use_tls": false, "tls_cacertfile": nil, "tls_req_cert": "demand", "use_pool": true, "pool_size": 10},
	}
}

// secretOption is one that may be set but is never shown.
func secretOption(section, name string) bool { return section == "ldap" && name == "password" }

// compliance is the section that everybody may read, to know the rules that
// passwords must follow.
const compliance = "security_compliance"

// ConfigPath picks a part of a configuration: all, a section, or one option.
type ConfigPath struct{ DomainID, Section, Option string }

// checkConfigPath refuses sections and options that domains cannot set.
func (c *Control) checkConfigPath(section, option string) error {
	options, ok := domainDefaults()[section]
	if section != "" && !ok {
		return fault.Forbiddenf("Invalid domain specific configuration: Group %s is not supported for domain specific configurations.", clip(section))
	}
	if _, ok := options[option]; option != "" && !ok && !secretOption(section, option) {
		return fault.Forbiddenf("Invalid domain specific configuration: Option %s in group %s is not supported for domain specific configurations.", clip(option), section)
	}
	return nil
}

// DefaultConfig returns the default values of a path without a domain.
func (c *Control) DefaultConfig(ctx context.Context, p ConfigPath) (DomainConfig, error) {
	if err := c.may(ctx, "identity:get_domain_config_default", nil); err != nil {
		return nil, err
	}
	if err := c.checkConfigPath(p.Section, p.Option); err != nil {
		return nil, err
	}
	return pickConfig(domainDefaults(), p), nil
}

func pickConfig(all DomainConfig, p ConfigPath) DomainConfig {
	picked := DomainConfig{}
	for section, options := range all {
		for name, v := range options {
			if (p.Section == "" || section == p.Section) && (p.Option == "" || name == p.Option) {
				if picked[section] == nil {
					picked[section] = map[string]any{}
				}
				picked[section][name] = v
			}
		}
	}
	return picked
}

// DomainConfig returns what a domain has set; fault.NotFound where it has
// nothing.
func (c *Control) DomainConfig(ctx context.Context, p ConfigPath) (DomainConfig, error) {
	rule := "identity:get_domain_config"
	if p.Section == compliance {
		rule = "identity:get_security_compliance_domain_config"
	}
	_, err := c.domainByID(ctx, c.db, p.DomainID)
	if err := c.seen(ctx, err, rule, auth.Target{"target.domain.id": p.DomainID}); err != nil {
		return nil, err
	}
	if p.Section == compliance {
		return c.complianceConfig(p)
	}
	if err := c.checkConfigPath(p.Section, p.Option); err != nil {
		return nil, err
	}
	return c.config(ctx, c.db, p)
}

func (c *Control) config(ctx context.Context, q db.Querier, p ConfigPath) (DomainConfig, error) {
	rows, err := store.DomainConfig(ctx, q, p.DomainID)
	all := DomainConfig{}
	for _, r := range rows {
		if secretOption(r.Section, r.Name) {
			continue
		}
		if all[r.Section] == nil {
			all[r.Section] = map[string]any{}
		}
		all[r.Section][r.Name] = r.Value.V
	}
	picked := pickConfig(all, p)
	if err == nil && len(picked) == 0 {
		err = noConfig(p)
	}
	return picked, err
}

func noConfig(p ConfigPath) error {
	what := "any options"
	switch {
	case p.Option != "":
		what = "option " + clip(p.Option) + " in group " + p.Section
	case p.Section != "":
		what = "group " + p.Section
	}
	return fault.NotFoundf("Could not find %s in domain configuration for domain %s.", what, p.DomainID)
}

func (c *Control) complianceConfig(p ConfigPath) (DomainConfig, error) {
	if p.DomainID != identity.DefaultDomainID {
		return nil, fault.Forbiddenf("Invalid domain specific configuration: the rules of passwords are those of the default domain.")
	}
	all := DomainConfig{compliance: {"password_regex": c.options.Compliance.PasswordRegex, "password_regex_description": c.options.Compliance.PasswordRegexDescription}}
	picked := pickConfig(all, p)
	if len(picked) == 0 {
		return nil, fault.Forbiddenf("Reading security compliance values other than password_regex and password_regex_description is not allowed.")
	}
	return picked, nil
}

// SetDomainConfig replaces the configuration of a domain. created says that it
// had none.
func (c *Control) SetDomainConfig(ctx context.Context, domainID string, config DomainConfig) (set DomainConfig, created bool, err error) {
	_, err = c.domainByID(ctx, c.db, domainID)
	if err := c.seen(ctx, err, "identity:create_domain_config", nil); err != nil {
		return nil, false, err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		before, err := store.DomainConfig(ctx, tx, domainID)
		if err != nil {
			return err
		}
		created = len(before) == 0
		rows, err := c.configRows(domainID, config)
		if err != nil {
			return err
		}
		return store.SetDomainConfig(ctx, tx, domainID, rows)
	})
	if err != nil {
		return nil, false, err
	}
	set, err = c.config(ctx, c.db, ConfigPath{DomainID: domainID})
	return set, created, err
}

// configRows checks a configuration; an empty one is refused.
func (c *Control) configRows(domainID string, config DomainConfig) ([]store.DomainOption, error) {
	var rows []store.DomainOption
	for section, options := range config {
		for name, v := range options {
			if err := c.checkConfigPath(section, name); err != nil {
				return nil, err
			}
			rows = append(rows, store.DomainOption{DomainID: domainID, Section: section, Name: name, Value: db.AsJSON(v)})
		}
	}
	if len(rows) == 0 {
		return nil, fault.Forbiddenf("Invalid domain specific configuration: No options specified.")
	}
	return rows, nil
}

// UpdateDomainConfig changes options of a domain within a path; those that it
// names must have been set.
func (c *Control) UpdateDomainConfig(ctx context.Context, p ConfigPath, change DomainConfig) (DomainConfig, error) {
	_, err := c.domainByID(ctx, c.db, p.DomainID)
	if err := c.seen(ctx, err, "identity:update_domain_config", nil); err != nil {
		return nil, err
	}
	if err := c.checkConfigPath(p.Section, p.Option); err != nil {
		return nil, err
	}
	var all DomainConfig
	err = c.changing(ctx, func(tx *db.Tx) error {
		if _, err := c.config(ctx, tx, p); err != nil {
			return err
		}
		changed, err := c.configRows(p.DomainID, change)
		if err != nil {
			return err
		}
		for _, r := range changed {
			if p.Section != "" && r.Section != p.Section || p.Option != "" && r.Name != p.Option {
				return fault.Forbiddenf("Invalid domain specific configuration: option %s of group %s lies outside of what the address names.", clip(r.Name), clip(r.Section))
			}
		}
		before, err := store.DomainConfig(ctx, tx, p.DomainID)
		if err != nil {
			return err
		}
		for _, old := range before {
			if _, replaced := change[old.Section][old.Name]; !replaced {
				changed = append(changed, old)
			}
		}
		if err := store.SetDomainConfig(ctx, tx, p.DomainID, changed); err != nil {
			return err
		}
		all, err = c.config(ctx, tx, ConfigPath{DomainID: p.DomainID})
		return err
	})
	return all, err
}

// DeleteDomainConfig removes what lies in a path.
func (c *Control) DeleteDomainConfig(ctx context.Context, p ConfigPath) error {
	_, err := c.domainByID(ctx, c.db, p.DomainID)
	if err := c.seen(ctx, err, "identity:delete_domain_config", nil); err != nil {
		return err
	}
	if err := c.checkConfigPath(p.Section, p.Option); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		rows, err := store.DomainConfig(ctx, tx, p.DomainID)
		if err != nil {
			return err
		}
		var kept []store.DomainOption
		for _, r := range rows {
			if p.Section != "" && r.Section != p.Section || p.Option != "" && r.Name != p.Option {
				kept = append(kept, r)
			}
		}
		if len(kept) == len(rows) {
			return noConfig(p)
		}
		return store.SetDomainConfig(ctx, tx, p.DomainID, kept)
	})
}
