package main

import "testing"

// What scripts call keystone-manage for, they can call `manage identity` for, by the
// same names (keystone 29.0).
func TestCommandsOfKeystoneManage(t *testing.T) {
	for _, name := range []string{"bootstrap", "credential_migrate", "credential_rotate", "credential_setup", "db_sync", "db_version", "doctor", "domain_config_upload",
		"fernet_rotate", "fernet_setup", "create_jws_keypair", "mapping_populate", "mapping_purge", "mapping_engine", "project_setup", "receipt_rotate", "receipt_setup",
		"reset_last_active", "saml_idp_metadata", "token_rotate", "token_setup", "trust_flush", "user_setup"} {
		if sub, _, err := manageIdentityCommand().Find([]string{name}); err != nil || sub.Name() == "identity" {
			t.Errorf("there is no %s: %v", name, err)
		}
	}
}
