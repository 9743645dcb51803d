package control

import (
	"context"
	"math/big"
	"net/netip"
	"slices"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/network"
	"kilonova/service/network/store"
)

// SubnetPools lists the subnet pools that the caller sees.
func (c *Control) SubnetPools(ctx context.Context, q network.Query) ([]network.SubnetPool, error) {
	if !c.reads(ctx, "get_subnetpool") {
		return nil, nil
	}
	return c.store.SubnetPools(ctx, c.store, c.scope(ctx), q)
}

// SubnetPool returns a subnet pool that the caller sees.
func (c *Control) SubnetPool(ctx context.Context, id string) (network.SubnetPool, error) {
	return c.store.SubnetPool(ctx, c.store, c.scope(ctx), id)
}

// CreateSubnetPool makes a subnet pool.
func (c *Control) CreateSubnetPool(ctx context.Context, in network.SubnetPoolInput) (network.SubnetPool, error) {
	project := c.project(ctx, in.OwnerInput)
	p := network.SubnetPool{Standard: store.NewStandard(newID(), project, in.Description.Or(""), c.now()), Shared: in.Shared.Or(false)}
	if err := enforce(ctx, "create_subnetpool", owned(project), in); err != nil {
		return p, err
	}
	if err := setPool(&p, in); err != nil {
		return p, err
	}
	err := c.write(ctx, func(tx *write) error {
		if err := c.takeQuota(ctx, tx, project, "subnetpool", 1); err != nil {
			return err
		}
		if err := c.oneDefault(ctx, tx, p); err != nil {
			return err
		}
		return c.store.InsertSubnetPool(ctx, tx.Tx, p)
	})
	return p, err
}

// maxPrefixes bounds the prefixes of a pool.
const maxPrefixes = 256

// setPool takes what a request says of a pool, and fills in what a new one lacks.
func setPool(p *network.SubnetPool, in network.SubnetPoolInput) error {
	if in.AddressScopeID.Or("") != "" {
		return fault.NotFoundf("Address scope %.64s could not be found.", in.AddressScopeID.V).WithCode("AddressScopeNotFound")
	}
	p.Name, p.Description, p.IsDefault = in.Name.Or(p.Name), in.Description.Or(p.Description), in.IsDefault.Or(p.IsDefault)
	if in.Prefixes.Set {
		if err := setPrefixes(p, in.Prefixes.V); err != nil {
			return err
		}
	}
	if in.DefaultQuota.Set {
		p.DefaultQuota = nil
		if !in.DefaultQuota.Null {
			if in.DefaultQuota.V < 0 {
				return invalid("default_quota", "'%d' should be non-negative", in.DefaultQuota.V)
			}
			p.DefaultQuota = &in.DefaultQuota.V
		}
	}
	most := 32
	if p.IPVersion == 6 {
		most = 128
	}
	if p.MaxPrefix == 0 { // a new one
		p.MinPrefix, p.MaxPrefix = network.Digits(map[int]int{4: 8, 6: 64}[p.IPVersion]), network.Digits(most)
	}
	p.MinPrefix, p.MaxPrefix = network.Digits(in.MinPrefix.Or(int(p.MinPrefix))), network.Digits(in.MaxPrefix.Or(int(p.MaxPrefix)))
	if p.DefaultPrefix == 0 {
		p.DefaultPrefix = p.MinPrefix
	}
	p.DefaultPrefix = network.Digits(in.DefaultPrefix.Or(int(p.DefaultPrefix)))
	if p.MinPrefix < 0 || p.MinPrefix > p.DefaultPrefix || p.DefaultPrefix > p.MaxPrefix || int(p.MaxPrefix) > most {
		return fault.Invalidf("Illegal prefix bounds: min_prefixlen=%d, default_prefixlen=%d, max_prefixlen=%d.", p.MinPrefix, p.DefaultPrefix, p.MaxPrefix).
			WithCode("IllegalSubnetPoolPrefixBounds")
	}
	return nil
}

// setPrefixes replaces a pool's prefixes; it may grow but not shrink.
func setPrefixes(p *network.SubnetPool, prefixes []string) error {
	if len(prefixes) == 0 || len(prefixes) > maxPrefixes {
		return invalid("prefixes", "between 1 and %d are needed", maxPrefixes)
	}
	var parsed []netip.Prefix
	for _, text := range prefixes {
		prefix, err := parseCIDR("prefixes", text)
		if err != nil {
			return err
		}
		version := 6
		if prefix.Addr().Is4() {
			version = 4
		}
		if p.IPVersion == 0 {
			p.IPVersion = version
		}
		if version != p.IPVersion {
			return badRequest("subnetpool", "Cannot mix IPv4 and IPv6 prefixes in a subnet pool")
		}
		if slices.ContainsFunc(parsed, prefix.Overlaps) {
			return badRequest("subnetpool", "Prefix %s overlaps with another one of the pool", prefix)
		}
		parsed = append(parsed, prefix)
	}
	for _, text := range p.Prefixes {
		old := netip.MustParsePrefix(text)
		if !slices.ContainsFunc(parsed, func(x netip.Prefix) bool { return x.Bits() <= old.Bits() && x.Overlaps(old) }) {
			return fault.Invalidf("Illegal update to prefixes: existing prefix %s cannot be removed.", old).WithCode("IllegalSubnetPoolPrefixUpdate")
		}
	}
	slices.SortFunc(parsed, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	p.Prefixes = nil
	for _, prefix := range parsed {
		p.Prefixes = append(p.Prefixes, prefix.String())
	}
	return nil
}

// oneDefault refuses a second default pool of an IP version.
func (c *Control) oneDefault(ctx context.Context, tx *write, p network.SubnetPool) error {
	if !p.IsDefault {
		return nil
	}
	n, err := db.Get[int](ctx, tx, `SELECT COUNT(*) FROM subnet_pools WHERE is_default = ? AND ip_version = ? AND id <> ?`, true, p.IPVersion, p.ID)
	if err == nil && n > 0 {
		err = badInput("A default subnetpool for this IP family has already been set. Only one default may exist per IP family")
	}
	return err
}

// UpdateSubnetPool changes a subnet pool; what is cut from it stays.
func (c *Control) UpdateSubnetPool(ctx context.Context, id string, in network.SubnetPoolInput, m network.Match) (network.SubnetPool, error) {
	var p network.SubnetPool
	err := c.write(ctx, func(tx *write) error {
		var err error
		if p, err = c.store.SubnetPool(ctx, tx, c.scope(ctx), id); err != nil {
			return err
		}
		if err := enforce(ctx, "update_subnetpool", owned(p.ProjectID), in); err != nil {
			return err
		}
		if err := matches(m, p.Standard); err != nil {
			return err
		}
		if err := setPool(&p, in); err != nil {
			return err
		}
		if err := c.oneDefault(ctx, tx, p); err != nil {
			return err
		}
		if err := c.store.UpdateSubnetPool(ctx, tx.Tx, p, c.now()); err != nil {
			return err
		}
		p, err = c.store.SubnetPool(ctx, tx, store.Everything, id)
		return err
	})
	return p, err
}

// DeleteSubnetPool removes a subnet pool from which nothing is cut.
func (c *Control) DeleteSubnetPool(ctx context.Context, id string, m network.Match) error {
	return c.write(ctx, func(tx *write) error {
		p, err := c.store.SubnetPool(ctx, tx, c.scope(ctx), id)
		if err != nil {
			return err
		}
		if err := enforce(ctx, "delete_subnetpool", owned(p.ProjectID), nil); err != nil {
			return err
		}
		if err := matches(m, p.Standard); err != nil {
			return err
		}
		cuts, err := c.store.LockPool(ctx, tx.Tx, id)
		if err != nil {
			return err
		}
		if len(cuts) > 0 {
			return fault.Invalidf("Unable to delete subnet pool: Subnet pool has existing allocations.").WithCode("SubnetPoolDeleteError")
		}
		return c.store.DeleteSubnetPool(ctx, tx.Tx, id)
	})
}

// cutFromPool gives a subnet that names a pool its CIDR: the one that it asks
// for, or the first that is free.
func (c *Control) cutFromPool(ctx context.Context, tx *write, in *network.SubnetInput, project string) error {
	id := in.SubnetPoolID.Or("")
	if id == "" {
		return nil
	}
	p, err := c.store.SubnetPool(ctx, tx, c.scope(ctx), id)
	if err != nil {
		return err
	}
	if in.IPVersion.V != p.IPVersion {
		return badInput("Cannot allocate requested subnet: the pool is of IP version %d", p.IPVersion)
	}
	cuts, err := c.store.LockPool(ctx, tx.Tx, id)
	if err != nil {
		return err
	}
	cidr, err := choosePrefix(p, *in, cuts)
	if err != nil {
		return err
	}
	if p.DefaultQuota != nil {
		used := amount(cidr)
		for _, cut := range cuts {
			if cut.ProjectID == project {
				used.Add(used, amount(netip.MustParsePrefix(cut.CIDR)))
			}
		}
		if used.Cmp(big.NewInt(int64(*p.DefaultQuota))) > 0 {
			return fault.Conflictf("Per-tenant subnet pool prefix quota exceeded.").WithCode("SubnetPoolQuotaExceeded")
		}
	}
	in.CIDR = network.Some(cidr.String())
	return nil
}

// amount is what a prefix counts for quotas: IPv4 addresses, or IPv6 /64s.
func amount(p netip.Prefix) *big.Int {
	width := 32
	if p.Addr().Is6() {
		width = 64
	}
	return new(big.Int).Lsh(big.NewInt(1), uint(max(width-p.Bits(), 0)))
}

func choosePrefix(p network.SubnetPool, in network.SubnetInput, cuts []store.PoolCut) (netip.Prefix, error) {
	var taken, supply []netip.Prefix
	for _, cut := range cuts {
		taken = append(taken, netip.MustParsePrefix(cut.CIDR))
	}
	for _, prefix := range p.Prefixes {
		supply = append(supply, netip.MustParsePrefix(prefix))
	}
	bits := in.PrefixLength.Or(int(p.DefaultPrefix))
	var asked netip.Prefix
	if in.CIDR.Or("") != "" {
		var err error
		if asked, err = parseCIDR("cidr", in.CIDR.V); err != nil {
			return asked, err
		}
		bits = asked.Bits()
	}
	if bits < int(p.MinPrefix) || bits > int(p.MaxPrefix) {
		return asked, fault.Invalidf("Unable to allocate subnet with prefix length %d, the pool allows %d to %d.", bits, p.MinPrefix, p.MaxPrefix).
			WithCode(map[bool]string{true: "MinPrefixSubnetAllocationError", false: "MaxPrefixSubnetAllocationError"}[bits < int(p.MinPrefix)])
	}
	if asked.IsValid() {
		in := slices.ContainsFunc(supply, func(s netip.Prefix) bool { return s.Bits() <= asked.Bits() && s.Overlaps(asked) })
		if !in || slices.ContainsFunc(taken, asked.Overlaps) {
			return asked, fault.Conflictf("Failed to allocate subnet: Cannot allocate requested subnet %s from the available set of prefixes.", asked).WithCode("SubnetAllocationError")
		}
		return asked, nil
	}
	for _, s := range supply {
		if found, ok := firstFree(s, bits, taken); ok {
			return found, nil
		}
	}
	return asked, fault.Conflictf("Failed to allocate subnet: Insufficient prefix space to allocate subnet size /%d.", bits).WithCode("SubnetAllocationError")
}

// firstFree finds the first block of a size in a prefix that overlaps with
// nothing taken; it jumps over what is.
func firstFree(in netip.Prefix, bits int, taken []netip.Prefix) (netip.Prefix, bool) {
	if bits < in.Bits() {
		return netip.Prefix{}, false
	}
	for at := in.Addr(); at.IsValid() && in.Contains(at); {
		block := netip.PrefixFrom(at, bits)
		i := slices.IndexFunc(taken, block.Overlaps)
		if i < 0 {
			return block, true
		}
		last := lastOf(block)
		if other := lastOf(taken[i]); other.Compare(last) > 0 {
			last = other // taken is the larger one, and so ends where a block ends
		}
		at = last.Next()
	}
	return netip.Prefix{}, false
}
