package stack

import (
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"kilonova/internal/config"
	objectapi "kilonova/service/object/api"
	objectcontrol "kilonova/service/object/control"
	"kilonova/service/object/device"
	"kilonova/service/object/pool"
	objectremote "kilonova/service/object/remote"
	"kilonova/service/object/ring"
	"kilonova/service/object/s3"
	objectstore "kilonova/service/object/store"
)

// objectStoreType is the object service's in the catalog and in the table of peers.
const objectStoreType = "object-store"

// ObjectOptions are the object service's.
type ObjectOptions struct {
	objectcontrol.Options
	AuthToken AuthToken `toml:"keystone_authtoken"`
	// Replicas is how many devices shall have each object; PartPower makes 2^PartPower
	// partitions, which must stay as it is once there are objects.
	Replicas  int  `toml:"replicas"`
	PartPower uint `toml:"part_power"`
	// Devices are where objects lie; none: one folder below Data.
	Devices []ObjectDevice `toml:"devices"`
	// Stall is how long an upload may be silent.
	Stall config.Duration `toml:"client_timeout"`
	// SecretCache is for how many seconds the secret of an access key is remembered, so
	// that the identity service need not be asked about each request to S3.
	SecretCache int `toml:"secret_cache_duration"`
}

// ObjectDevice is a line of the object service's ring.
type ObjectDevice struct {
	ObjectFileOptions
	Driver string   `toml:"driver"` // a name of the table in drivers.go; "" file
	Zone   string   `toml:"zone"`   // what fails together; "" the device alone
	Weight *float64 `toml:"weight"` // how much of all it takes; 1 if nothing is said
}

func defaultObject() ObjectOptions {
	return ObjectOptions{Options: objectcontrol.Defaults(), Replicas: 1, PartPower: 16, Stall: config.Duration(time.Minute)}
}

// objectPool opens the devices that the configuration names.
func (s *Stack) objectPool() (*pool.Pool, error) {
	o := s.Config.Object
	lines := o.Devices
	if len(lines) == 0 {
		lines = []ObjectDevice{{ObjectFileOptions: ObjectFileOptions{Name: "d1", Dir: filepath.Join(s.Config.Data, "objects")}}}
	}
	var in []ring.Device
	var devices []device.Device
	folders := map[string]bool{}
	for _, l := range lines {
		kind := l.Driver
		if kind == "" {
			kind = "file"
		}
		open, err := driver("object device", kind, objectDevices)
		if err != nil {
			return nil, err
		}
		d, err := open(l)
		if err != nil {
			return nil, fmt.Errorf("[[object.devices]] %s: %w", l.Name, err)
		}
		if dir := filepath.Clean(l.Dir); folders[dir] {
			return nil, fmt.Errorf("[[object.devices]] %s: another device has the path %s", l.Name, dir)
		} else {
			folders[dir] = true
		}
		one := ring.Device{ID: l.Name, Zone: l.Zone, Weight: 1}
		if one.Zone == "" {
			one.Zone = "device " + l.Name
		}
		if l.Weight != nil {
			one.Weight = *l.Weight
		}
		in, devices = append(in, one), append(devices, d)
	}
	r, err := ring.New(o.PartPower, o.Replicas, in)
	if err != nil {
		return nil, fmt.Errorf("[object]: %w", err)
	}
	if r.Replicas() < o.Replicas {
		s.Log.Warn("object: there are fewer devices than replicas", "devices", r.Replicas(), "replicas", o.Replicas)
	}
	return pool.New(r, devices, s.Log), nil
}

func (s *Stack) startObjectStore() error {
	d, err := s.database("object")
	if err != nil {
		return err
	}
	st, err := objectstore.New(s.ctx, d)
	if err != nil {
		return err
	}
	p, err := s.objectPool()
	if err != nil {
		return err
	}
	c, err := objectcontrol.New(objectcontrol.Config{Store: st, Pool: p, Options: s.Config.Object.Options, Place: s.place, Log: s.Log, Now: s.Now})
	if err != nil {
		return err
	}
	own, v, err := s.user(s.Config.Object.AuthToken)
	if err != nil {
		return err
	}
	identity, err := s.peers.Client("identity", own)
	if err != nil {
		return err
	}
	s.mount(objectStoreType, objectapi.New(c, objectapi.Options{Validator: v, AuthURL: s.authURL, Observe: s.metrics.observe, Stall: s.Config.Object.Stall, Log: s.Log, Now: s.Now}))
	swift := s.handlers[objectStoreType]
	s.s3 = s3.New(c, s3.Options{Signers: &objectremote.Signers{Identity: identity, TTL: time.Duration(s.Config.Object.SecretCache) * time.Second, Now: s.Now},
		Observe: s.metrics.observe, Stall: s.Config.Object.Stall, Log: s.Log, Now: s.Now})
	s.handlers[objectStoreType] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // on a port of its own
		if s3.IsSigned(r) {
			s.s3.ServeHTTP(w, r)
			return
		}
		swift.ServeHTTP(w, r)
	})
	s.run(objectStoreType, c.Run)
	return nil
}
