package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// Lists read thirty columns of a thousand rows, and most of what SQLite and
// database/sql cost then is a price per column, not per byte. So the short columns
// come as one, joined by a character that is in none of them: ids, states, numbers
// and times.

// packSeparator is the ASCII character for separating units; nothing that is packed
// can have it.
const packSeparator = "\x1f"

// packedColumns is the expression; its only parameter is the separator. What may be
// NULL would be left out, so that it is not.
const packedColumns = `CONCAT_WS(?, seq, id, project_id, user_id, vm_state, task_state, power_state, image_id, config_drive, disk_config, access_ip_v4, access_ip_v6,
	locked, reservation_id, launch_index, root_device, progress, created_at, updated_at, COALESCE(launched_at, 0), COALESCE(terminated_at, 0), locked_by) AS packed`

// packedRow is a row of which part came packed.
type packedRow struct {
	serverRow
	Packed string `db:"packed"`
}

// unpack fills the columns that came packed.
func (r *packedRow) unpack() error {
	if r.Packed == "" { // a query that packs nothing
		return nil
	}
	u := unpacker{rest: r.Packed}
	r.Seq, r.ID, r.ProjectID, r.UserID = u.number(), u.text(), u.text(), u.text()
	r.State, r.Task, r.Power = compute.State(u.text()), compute.Task(u.text()), compute.Power(u.number())
	r.ImageID, r.ConfigDrive, r.DiskConfig, r.AccessIPv4, r.AccessIPv6 = u.text(), u.truth(), u.text(), u.text(), u.text()
	r.Locked, r.Reservation, r.LaunchIndex, r.RootDevice, r.Progress = u.truth(), u.text(), int(u.number()), u.text(), int(u.number())
	r.CreatedAt, r.UpdatedAt, r.LaunchedAt, r.TerminatedAt = u.time(), u.time(), u.time(), u.time()
	r.LockedBy = u.text()
	if u.failed || u.rest != "" {
		return fmt.Errorf("the row of server %s cannot be read: it has a separator where none can be", r.ID)
	}
	return nil
}

type unpacker struct {
	rest   string
	failed bool
}

func (u *unpacker) text() string {
	var text string
	text, u.rest, _ = strings.Cut(u.rest, packSeparator)
	return text
}

func (u *unpacker) number() int64 {
	n, err := strconv.ParseInt(u.text(), 10, 64)
	u.failed = u.failed || err != nil
	return n
}

// truth reads a boolean as the databases write it: 1 and 0, or t and f.
func (u *unpacker) truth() bool {
	text := u.text()
	return text == "1" || text == "t"
}

func (u *unpacker) time() db.Time {
	n := u.number()
	if n == 0 {
		return db.Time{}
	}
	return db.Time{Time: time.UnixMicro(n).UTC()}
}
