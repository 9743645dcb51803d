package store

import (
	"context"
	"encoding/hex"
	"net/netip"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type fixedRow struct {
	SubnetID  string `db:"subnet_id"`
	Key       string `db:"addr_key"`
	PortID    string `db:"port_id"`
	NetworkID string `db:"network_id"`
	IP        string `db:"ip"`
	Place     int    `db:"place"`
}

// key is an address in digits that sort as addresses do.
func key(a netip.Addr) string {
	b := a.As16()
	return hex.EncodeToString(b[:])
}

func addrOf(key string, like netip.Addr) (netip.Addr, bool) {
	raw, err := hex.DecodeString(key)
	if err != nil || len(raw) != 16 {
		return netip.Addr{}, false
	}
	a := netip.AddrFrom16([16]byte(raw))
	if like.Is4() {
		a = a.Unmap()
	}
	return a, true
}

// Range is a range of addresses, both ends included.
type Range struct{ From, To netip.Addr }

// TakeAddress finds a free address of a subnet in the ranges, in ascending order
// after the one that was taken last, and passes over those that skip names. The
// subnet stays locked until the transaction ends, so that two do not find the
// same. ok is false when there is none.
func (s *Store) TakeAddress(ctx context.Context, tx *db.Tx, subnetID string, ranges []Range, skip func(netip.Addr) bool) (found netip.Addr, ok bool, err error) {
	if n, err := tx.Exec(ctx, `UPDATE cursors SET next_key = next_key WHERE subnet_id = ?`, subnetID); err != nil || n == 0 {
		return found, false, err
	}
	next, err := db.Get[string](ctx, tx, `SELECT next_key FROM cursors WHERE subnet_id = ?`, subnetID)
	if err != nil {
		return found, false, err
	}
	// From the cursor to the end of each range, and then once from the beginning.
	for _, fromStart := range []bool{false, true} {
		for _, r := range ranges {
			from := r.From
			if !fromStart {
				at, ok := addrOf(next, r.From)
				if !ok || at.Compare(r.To) > 0 {
					continue
				}
				if at.Compare(from) > 0 {
					from = at
				}
			}
			found, ok, err = s.gap(ctx, tx, subnetID, from, r.To, skip)
			if err != nil {
				return found, false, err
			}
			if ok {
				_, err = tx.Exec(ctx, `UPDATE cursors SET next_key = ? WHERE subnet_id = ?`, key(found.Next()), subnetID)
				return found, err == nil, err
			}
		}
	}
	return found, false, nil
}

// gap returns the first address of from..to that no port has.
func (s *Store) gap(ctx context.Context, tx *db.Tx, subnetID string, from, to netip.Addr, skip func(netip.Addr) bool) (netip.Addr, bool, error) {
	const window = 64
	for from.IsValid() && from.Compare(to) <= 0 {
		taken, err := db.Select[string](ctx, tx, `SELECT addr_key FROM fixed_ips WHERE subnet_id = ? AND addr_key >= ? AND addr_key <= ?
			ORDER BY addr_key LIMIT 64`, subnetID, key(from), key(to))
		if err != nil {
			return netip.Addr{}, false, err
		}
		for i := 0; from.IsValid() && from.Compare(to) <= 0; from = from.Next() {
			if i < len(taken) && taken[i] == key(from) {
				if i++; i == window {
					from = from.Next()
					break // more may follow
				}
				continue
			}
			if !skip(from) {
				return from, true, nil
			}
		}
	}
	return netip.Addr{}, false, nil
}

// AddressTaken reports whether a port of the subnet, other than except, has the
// address.
func (s *Store) AddressTaken(ctx context.Context, q db.Querier, subnetID string, a netip.Addr, except string) (bool, error) {
	n, err := db.Get[int](ctx, q, `SELECT COUNT(*) FROM fixed_ips WHERE subnet_id = ? AND addr_key = ? AND port_id <> ?`, subnetID, key(a), except)
	return n > 0, err
}

// SetAddresses replaces the addresses of a port. An address that another port
// has is a unique-key error.
func (s *Store) SetAddresses(ctx context.Context, tx *db.Tx, portID, networkID string, ips []network.FixedIP) error {
	if _, err := tx.Exec(ctx, `DELETE FROM fixed_ips WHERE port_id = ?`, portID); err != nil {
		return err
	}
	rows := make([]fixedRow, len(ips))
	for i, f := range ips {
		a, err := netip.ParseAddr(f.IP)
		if err != nil {
			return err
		}
		rows[i] = fixedRow{f.SubnetID, key(a), portID, networkID, a.String(), i}
	}
	return db.Insert(ctx, tx, "fixed_ips", rows...)
}

// addressesOf returns the addresses of ports.
func addressesOf(ctx context.Context, q db.Querier, portIDs []string) (map[string][]network.FixedIP, error) {
	all := make(map[string][]network.FixedIP, len(portIDs))
	err := inBatches(portIDs, func(list string, args []any) error {
		for r, err := range db.Each[fixedRow](ctx, q, `SELECT * FROM fixed_ips WHERE port_id IN `+list+` ORDER BY port_id, place`, args...) {
			if err != nil {
				return err
			}
			all[r.PortID] = append(all[r.PortID], network.FixedIP{SubnetID: r.SubnetID, IP: r.IP})
		}
		return nil
	})
	return all, err
}
