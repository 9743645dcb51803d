package stack

import (
	"context"
	"log/slog"
	"os"
	"time"

	"kilonova/internal/config"
	"kilonova/internal/peer"
	"kilonova/internal/rest"
)

// Dev is the configuration of a cloud without hardware.
func Dev(data, listen string, hosts int) Config {
	c := Defaults()
	c.Host, c.Data, c.Listen.Address = "dev", data, listen
	c.Default.ComputeDriver, c.Network.Dataplane, c.Fake.Hosts = "fake", "fake", hosts
	c.Database.Synchronous = "off" // it need not outlive a power failure
	c.Identity.Identity.PasswordHashRounds = 4
	// Those who build against the API want no limits in their way.
	c.Quota.Instances, c.Quota.Cores, c.Quota.RAM = 10000, 20000, 50<<20
	c.Default.ReportInterval = config.Duration(5 * time.Second)
	c.LinuxBridge.Physical = nil
	return c
}

// StartDev starts such a cloud and fills it.
func StartDev(ctx context.Context, c Config, log *slog.Logger, now func() time.Time) (*Stack, error) {
	s, err := Start(ctx, c, log, now)
	if err != nil {
		return nil, err
	}
	seeder, err := NewSeeder(s.URL(), s.Config.Secrets.AdminPassword, Seed{DemoPassword: s.Config.Secrets.DemoPassword, ImageName: "cirros",
		PublicCIDR: "172.24.4.0/24", PrivateCIDR: "10.0.0.0/24"}, peer.Network(nil))
	if err == nil {
		err = seeder.Fill(ctx)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// APIs returns the tables of all services, of a cloud that is started for that
// and ended again.
func APIs(ctx context.Context) ([]*rest.Service, error) {
	data, err := os.MkdirTemp("", "kilonova-routes-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(data)
	s, err := Start(ctx, Dev(data, "127.0.0.1:0", 1), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.services, nil
}
