package store

import (
	"context"

	"kilonova/internal/db"
	"kilonova/service/network"
)

type bindingRow struct {
	PortID   string                  `db:"port_id"`
	Host     string                  `db:"host"`
	VIFType  string                  `db:"vif_type"`
	VNICType string                  `db:"vnic_type"`
	Profile  db.JSON[map[string]any] `db:"profile"`
}

// Bindings lists the bindings of a port that are not in use, by host.
func (s *Store) Bindings(ctx context.Context, q db.Querier, portID string) ([]network.PortBinding, error) {
	var all []network.PortBinding
	for r, err := range db.Each[bindingRow](ctx, q, `SELECT * FROM port_bindings WHERE port_id = ? ORDER BY host`, portID) {
		if err != nil {
			return nil, err
		}
		all = append(all, network.PortBinding{Host: r.Host, VIFType: r.VIFType, VIFDetails: VIFDetails(r.VIFType), VNICType: r.VNICType,
			Profile: r.Profile.V, Status: network.Inactive})
	}
	return all, nil
}

// PutBinding writes a binding that is not in use, in place of the one that the
// port has on the same host.
func (s *Store) PutBinding(ctx context.Context, tx *db.Tx, portID string, b network.PortBinding) error {
	if err := s.DropBinding(ctx, tx, portID, b.Host); err != nil {
		return err
	}
	return db.Raced(db.Insert(ctx, tx, "port_bindings", bindingRow{portID, b.Host, b.VIFType, b.VNICType, db.AsJSON(b.Profile)}))
}

// DropBinding removes a binding that is not in use; one that is not there is success.
func (s *Store) DropBinding(ctx context.Context, tx *db.Tx, portID, host string) error {
	_, err := tx.Exec(ctx, `DELETE FROM port_bindings WHERE port_id = ? AND host = ?`, portID, host)
	return err
}
