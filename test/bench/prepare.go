package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bench measures one cloud.
type bench struct {
	*cloud
	name   string // of what it makes, so that it finds just that again
	say    func(format string, args ...any)
	sizes  sizes
	calls  map[string]Distribution
	flavor string // ids
	image  string
	net    string
	undo   []func(context.Context) error // of what prepare has made, last first
}

func newBench(c *cloud, name string, s sizes, calls map[string]Distribution) *bench {
	return &bench{cloud: c, name: "bench" + strconv.FormatInt(time.Now().Unix(), 36), sizes: s, calls: calls,
		say: func(format string, args ...any) { say(name+": "+format, args...) }}
}

// computeVersion is the microversion that all requests to compute ask for.
const computeVersion = "compute 2.79"

// placement is the same for placement.
const placement = "placement 1.36"

const version = "OpenStack-API-Version"

// first returns the id of the first element of a list that has a name, "" if
// none.
func (b *bench) first(ctx context.Context, service, path, list, name string) (string, error) {
	var out map[string]json.RawMessage
	if err := b.into(ctx, &out, "GET", service, path, nil); err != nil {
		return "", err
	}
	var all []struct{ ID, Name string }
	if err := json.Unmarshal(out[list], &all); err != nil {
		return "", err
	}
	for _, one := range all {
		if one.Name == name {
			return one.ID, nil
		}
	}
	return "", nil
}

// prepare finds or makes what boots need, and room for as many servers as there
// will be.
func (b *bench) prepare(ctx context.Context) error {
	quotas := object{"quota_set": object{"instances": -1, "cores": -1, "ram": -1}}
	if _, err := b.call(ctx, "PUT", "compute", "/os-quota-sets/"+b.project, quotas); err != nil {
		return err
	}
	if _, err := b.call(ctx, "PUT", "network", "/quotas/"+b.project, object{"quota": object{"port": -1}}); err != nil {
		return err
	}
	var err error
	b.flavor, err = b.ensure(ctx, "compute", "/flavors", "flavor", "m1.nano", object{"vcpus": 1, "ram": 64, "disk": 1}, nil)
	if err != nil {
		return err
	}
	b.image, err = b.ensure(ctx, "image", "/images", "", "cirros", object{"disk_format": "raw", "container_format": "bare"}, func(id string) error {
		_, err := b.call(ctx, "PUT", "image", "/images/"+id+"/file", make([]byte, 64<<10))
		return err
	})
	if err != nil {
		return err
	}
	b.net, err = b.ensure(ctx, "network", "/networks", "network", "bench", object{}, func(id string) error {
		_, err := b.call(ctx, "POST", "network", "/subnets", object{"subnet": object{"name": "bench", "network_id": id, "ip_version": 4, "cidr": "10.64.0.0/16"}})
		return err
	})
	return err
}

// ensure returns the id of what has a name, making it if there is none; wrap is
// the key of the request's and of the answer's only member, "" none. What was made
// is completed by then, and removed at the end.
func (b *bench) ensure(ctx context.Context, service, path, wrap, name string, attributes object, then func(id string) error) (string, error) {
	id, err := b.first(ctx, service, path, strings.TrimPrefix(path, "/"), name)
	if err != nil || id != "" {
		return id, err
	}
	attributes["name"] = name
	in, out := any(attributes), struct{ ID string }{}
	if wrap != "" {
		in = object{wrap: attributes}
	}
	body, err := b.call(ctx, "POST", service, path, in)
	if err != nil {
		return "", err
	}
	if wrap != "" {
		wrapped := map[string]json.RawMessage{}
		if err := json.Unmarshal(body, &wrapped); err != nil {
			return "", err
		}
		body = wrapped[wrap]
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return "", err
	}
	b.undo = append(b.undo, func(ctx context.Context) error {
		_, err := b.call(ctx, "DELETE", service, path+"/"+out.ID, nil)
		return err
	})
	if then != nil {
		err = then(out.ID)
	}
	return out.ID, err
}

func missing(value, what string) error {
	if value == "" {
		return fmt.Errorf("there is no %s", what)
	}
	return nil
}

// create asks for servers and returns the id of the first.
func (b *bench) create(ctx context.Context, name string, count int) (string, error) {
	in := object{"name": name, "flavorRef": b.flavor, "imageRef": b.image, "networks": []object{{"uuid": b.net}}}
	if count > 1 {
		in["min_count"], in["max_count"] = count, count
	}
	var out struct{ Server struct{ ID string } }
	err := b.into(ctx, &out, "POST", "compute", "/servers", object{"server": in}, version, computeVersion)
	return out.Server.ID, err
}

// active reports whether a server has become ACTIVE.
func (b *bench) active(ctx context.Context, id string) (bool, error) {
	var out struct {
		Server struct {
			Status string
			Fault  struct{ Message string }
		}
	}
	if err := b.into(ctx, &out, "GET", "compute", "/servers/"+id, nil, version, computeVersion); err != nil {
		return false, err
	}
	if out.Server.Status == "ERROR" {
		return false, fmt.Errorf("server %s is in error: %s", id, out.Server.Fault.Message)
	}
	return out.Server.Status == "ACTIVE", nil
}

// servers lists ids, at most ten pages of them; those whose name begins with
// prefix when that is not "".
func (b *bench) servers(ctx context.Context, prefix, filter string) ([]string, error) {
	query := url.Values{"limit": {"1000"}}
	if prefix != "" {
		query.Set("name", "^"+prefix)
	}
	if filter != "" {
		query.Set("status", filter)
	}
	var ids []string
	for range 10 {
		var out struct{ Servers []struct{ ID string } }
		if err := b.into(ctx, &out, "GET", "compute", "/servers?"+query.Encode(), nil, version, computeVersion); err != nil {
			return nil, err
		}
		for _, s := range out.Servers {
			ids = append(ids, s.ID)
		}
		if len(out.Servers) < 1000 {
			break
		}
		query.Set("marker", ids[len(ids)-1])
	}
	return ids, nil
}

// fill brings the project to n servers, twenty-five at a time.
func (b *bench) fill(ctx context.Context, n int) error {
	have, err := b.servers(ctx, "", "")
	if err != nil {
		return err
	}
	for i := 0; len(have) < n; i++ {
		name := fmt.Sprintf("%s-fill-%02d", b.name, i)
		batch := min(25, n-len(have))
		if _, err := b.create(ctx, name, batch); err != nil {
			return err
		}
		err = until(ctx, b.sizes.patience, func() (bool, error) {
			active, err := b.servers(ctx, name, "ACTIVE")
			return len(active) >= batch, err
		})
		if err != nil {
			return fmt.Errorf("filling: %w", err)
		}
		have = append(have, make([]string, batch)...)
	}
	return nil
}

// remove deletes the servers whose names begin with prefix and waits until they
// are gone.
func (b *bench) remove(ctx context.Context, prefix string) error {
	ids, err := b.servers(ctx, prefix, "")
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := b.each(ctx, len(ids), func(i int) error {
		_, err := b.call(ctx, "DELETE", "compute", "/servers/"+ids[i], nil)
		return err
	}); err != nil {
		return err
	}
	return until(ctx, b.sizes.patience, func() (bool, error) {
		left, err := b.servers(ctx, prefix, "")
		return len(left) == 0, err
	})
}

// each does something n times, four at a time, and returns the first error.
func (b *bench) each(ctx context.Context, n int, do func(i int) error) error {
	var group sync.WaitGroup
	errs := make([]error, n)
	next := make(chan int)
	for range 4 {
		group.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// tidy removes what this run has made: also what an earlier step has left when it
// failed.
func (b *bench) tidy(ctx context.Context) error {
	b.say("tidying up")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Minute)
	defer cancel()
	errs := []error{b.remove(ctx, b.name), b.removePorts(ctx), b.removeProviders(ctx)}
	for _, undo := range slices.Backward(b.undo) {
		errs = append(errs, undo(ctx))
	}
	return errors.Join(errs...)
}
