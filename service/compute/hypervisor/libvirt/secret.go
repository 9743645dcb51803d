package libvirt

import (
	"context"
	"encoding/xml"

	lv "github.com/digitalocean/go-libvirt"

	"kilonova/internal/fault"
	"kilonova/service/compute/hypervisor"
)

// secretXML is libvirt's description of a secret. It has the volume's UUID, and
// is not ephemeral: a guest must start again after the host has.
type secretXML struct {
	XMLName   xml.Name    `xml:"secret"`
	Ephemeral string      `xml:"ephemeral,attr"`
	Private   string      `xml:"private,attr"`
	UUID      string      `xml:"uuid"`
	Usage     secretUsage `xml:"usage"`
}

type secretUsage struct {
	Type   string `xml:"type,attr"`
	Target string `xml:"target"`
}

// keepSecret stores a volume's iSCSI password where QEMU's initiator gets it;
// it appears in no domain XML and on no command line.
func (d *Driver) keepSecret(ctx context.Context, t *turn, v hypervisor.Volume) error {
	if v.Kind != "iscsi" || v.User == "" {
		return nil
	}
	text, err := encode(secretXML{Ephemeral: "no", Private: "yes", UUID: v.ID, Usage: secretUsage{Type: "iscsi", Target: v.ID}})
	if err != nil {
		return err
	}
	return tell(ctx, d.conn, t, "keep the password of volume "+v.ID, func(l *lv.Libvirt) error {
		s, err := l.SecretDefineXML(text, 0)
		if err != nil {
			return err
		}
		return l.SecretSetValue(s, []byte(v.Secret), 0)
	})
}

// dropSecret removes it; none is success.
func (d *Driver) dropSecret(ctx context.Context, t *turn, volumeID string) error {
	uuid, ok := parseUUID(volumeID)
	if !ok {
		return nil
	}
	err := tell(ctx, d.conn, t, "forget the password of volume "+volumeID, func(l *lv.Libvirt) error {
		s, err := l.SecretLookupByUUID(uuid)
		if err != nil {
			return err
		}
		return l.SecretUndefine(s)
	})
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
