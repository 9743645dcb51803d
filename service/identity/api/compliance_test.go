package api

import (
	"testing"
	"time"

	"kilonova/service/identity/control"
)

// changePassword is the status of a user's own change of its password.
func (k *cloud) changePassword(userID, from, to string) int {
	k.t.Helper()
	return k.do("", "POST", "/v3/users/"+userID+"/password", doc{"user": doc{"original_password": from, "password": to}}).status
}

func TestPasswordsHaveToBeOldEnough(t *testing.T) {
	k := newCloud(t, func(o *control.Options) { o.Compliance.MinimumPasswordAge = 2 })
	u, _ := k.user("alice", "member")
	if got := k.changePassword(u, "alice's secret", "too soon"); got != 400 {
		t.Error("at once:", got)
	}
	k.now = k.now.Add(47 * time.Hour)
	if got := k.changePassword(u, "alice's secret", "too soon"); got != 400 {
		t.Error("an hour before:", got)
	}
	k.now = k.now.Add(2 * time.Hour)
	if got := k.changePassword(u, "alice's secret", "in time"); got != 204 {
		t.Error("afterwards:", got)
	}
	k.admin = k.login("admin", adminPassword, project("admin")).token
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"password": "the administrator's choice"}}) // which need not wait
	k.login("alice", "the administrator's choice", nil)
}

func TestFirstPasswordsAreChanged(t *testing.T) {
	k := newCloud(t, func(o *control.Options) { o.Compliance.ChangeUponFirstUse = true })
	u, _ := k.user("alice", "member")
	first := k.do("", "POST", loginPath, password("alice", "alice's secret", nil))
	k.wants(first, 401, "the first log-in")
	if got := k.changePassword(u, "alice's secret", "her own"); got != 204 {
		t.Fatal("the change:", got)
	}
	k.login("alice", "her own", nil)
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"password": "reset"}})
	k.wants(k.do("", "POST", loginPath, password("alice", "reset", nil)), 401, "after an administrator's reset")
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"options": doc{"ignore_change_password_upon_first_use": true}, "password": "reset again"}})
	k.login("alice", "reset again", nil)
}

func TestInactiveUsersAreDisabled(t *testing.T) {
	k := newCloud(t, func(o *control.Options) { o.Compliance.DisableInactiveDays = 30 })
	u, _ := k.user("alice", "member")
	k.user("bob", "member")
	for range 2 {
		k.now = k.now.Add(20 * 24 * time.Hour)
		k.login("alice", "alice's secret", nil)
		k.login("admin", adminPassword, nil)
	}
	k.wants(k.do("", "POST", loginPath, password("bob", "bob's secret", nil)), 401, "who has not been here for 40 days")
	k.now = k.now.Add(20 * 24 * time.Hour)
	k.login("admin", adminPassword, nil)
	k.now = k.now.Add(12 * 24 * time.Hour)
	k.wants(k.do("", "POST", loginPath, password("alice", "alice's secret", nil)), 401, "who has not been here for 32 days")
	if n, err := k.c.ResetLastActive(t.Context()); n != 1 || err != nil { // nova has never been here; the others have
		t.Error(n, err)
	}
	k.admin = k.login("admin", adminPassword, project("admin")).token
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"options": doc{"ignore_user_inactivity": true}}})
	k.login("alice", "alice's secret", nil)
}

func TestLockedPasswordsAndExemptions(t *testing.T) {
	k := newCloud(t, func(o *control.Options) {
		o.Compliance.LockoutFailureAttempts, o.Compliance.LockoutDuration, o.Compliance.PasswordExpiresDays = 2, 600, 1
	})
	u, _ := k.user("alice", "member")
	k.must(200, "PATCH", "/v3/users/"+u, doc{"user": doc{"options": doc{"lock_password": true, "ignore_lockout_failure_attempts": true, "ignore_password_expiry": true}}})
	if got := k.changePassword(u, "alice's secret", "another"); got != 400 {
		t.Error("a locked password was changed:", got)
	}
	for range 5 {
		k.wants(k.do("", "POST", loginPath, password("alice", "wrong", nil)), 401, "wrong")
	}
	k.now = k.now.Add(49 * time.Hour)
	k.login("alice", "alice's secret", nil)
}
