package binarycurve

import "math/big"

// curve is y^2 + xy = x^3 + ax^2 + b, with a point whose multiples are n.
type curve struct {
	field
	name string // as images name it, after ECC_
	oid  int    // the last number of its object identifier, 1.3.132.0.…
	a, b element
	n    *big.Int
	base point
}

// point is a point of a curve; the zero value is not, and stands for its zero.
type point struct {
	x, y   element
	finite bool
}

// parameters are the curves' numbers (SEC 2, 3.2 to 3.5): b, the base point and the
// number of its multiples, in hexadecimal digits.
var parameters = []struct {
	name               string
	oid, degree        int
	terms              []int
	a                  uint64
	b, baseX, baseY, n string
}{
	{"SECT409K1", 36, 409, []int{87, 0}, 0, "01",
		"0060f05f658f49c1ad3ab1890f7184210efd0987e307c84c27accfb8f9f67cc2c460189eb5aaaa62ee222eb1b35540cfe9023746",
		"01e369050b7c4e42acba1dacbf04299c3460782f918ea427e6325165e9ea10e3da5f6c42e9c55215aa9ca27a5863ec48d8e0286b",
		"7ffffffffffffffffffffffffffffffffffffffffffffffffffe5f83b2d4ea20400ec4557d5ed3e3e7ca5b4b5c83b8e01e5fcf"},
	{"SECT409R1", 37, 409, []int{87, 0}, 1,
		"21a5c2c8ee9feb5c4b9a753b7b476b7fd6422ef1f3dd674761fa99d6ac27c8a9a197b272822f6cd57a55aa4f50ae317b13545f",
		"015d4860d088ddb3496b0c6064756260441cde4af1771d4db01ffe5b34e59703dc255a868a1180515603aeab60794e54bb7996a7",
		"0061b1cfab6be5f32bbfa78324ed106a7636b9c5a7bd198d0158aa4f5488d08f38514f1fdf4b4f40d2181b3681c364ba0273c706",
		"010000000000000000000000000000000000000000000000000001e2aad6a612f33307be5fa47c3c9e052f838164cd37d9a21173"},
	{"SECT571K1", 38, 571, []int{10, 5, 2, 0}, 0, "01",
		"026eb7a859923fbc82189631f8103fe4ac9ca2970012d5d46024804801841ca44370958493b205e647da304db4ceb08cbbd1ba39494776fb988b47174dca88c7e2945283a01c8972",
		"0349dc807f4fbf374f4aeade3bca95314dd58cec9f307a54ffc61efc006d8a2c9d4979c0ac44aea74fbebbb9f772aedcb620b01a7ba7af1b320430c8591984f601cd4c143ef1c7a3",
		"020000000000000000000000000000000000000000000000000000000000000000000000131850e1f19a63e4b391a8db917f4138b630d84be5d639381e91deb45cfe778f637c1001"},
	{"SECT571R1", 39, 571, []int{10, 5, 2, 0}, 1,
		"02f40e7e2221f295de297117b7f3d62f5c6a97ffcb8ceff1cd6ba8ce4a9a18ad84ffabbd8efa59332be7ad6756a66e294afd185a78ff12aa520e4de739baca0c7ffeff7f2955727a",
		"0303001d34b856296c16c0d40d3cd7750a93d1d2955fa80aa5f40fc8db7b2abdbde53950f4c0d293cdd711a35b67fb1499ae60038614f1394abfa3b4c850d927e1e7769c8eec2d19",
		"037bf27342da639b6dccfffeb73d69d78c6c27a6009cbbca1980f8533921e8a684423e43bab08a576291af8f461bb2a8b3531d2f0485c19b16e2f1516e23dd3c1a4827af1b8ac15b",
		"03ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe661ce18ff55987308059b186823851ec7dd9ca1161de93d5174d66e8382e9bb2fe84e47"},
}

// byOID finds a curve, nil if it is none of ours.
func byOID(oid int) *curve {
	for _, p := range parameters {
		if p.oid != oid {
			continue
		}
		c := &curve{field: field{p.degree, p.terms}, name: p.name, oid: p.oid, a: element{p.a}}
		c.b, c.base = c.number(p.b), point{c.number(p.baseX), c.number(p.baseY), true}
		c.n, _ = new(big.Int).SetString(p.n, 16)
		return c
	}
	return nil
}

// number is an element by its hexadecimal digits.
func (c *curve) number(digits string) element {
	n, _ := new(big.Int).SetString(digits, 16)
	e, _ := c.read(n.FillBytes(make([]byte, c.size())))
	return e
}

// has reports whether a point is on the curve.
func (c *curve) has(p point) bool {
	xx := c.square(p.x)
	left := c.square(p.y).plus(c.times(p.x, p.y))
	return p.finite && left == c.times(xx, p.x.plus(c.a)).plus(c.b)
}

// projective is the point (X/Z, Y/Z^2), which can be added to without a division; the
// curve's zero where Z is (J. López and R. Dahab, 1998).
type projective struct{ X, Y, Z element }

func (p point) projective() projective {
	if !p.finite {
		return projective{X: one}
	}
	return projective{p.x, p.y, one}
}

func (c *curve) affine(p projective) point {
	if p.Z.isZero() {
		return point{}
	}
	z := c.inverse(p.Z)
	return point{c.times(p.X, z), c.times(p.Y, c.square(z)), true}
}

func (c *curve) double(p projective) projective {
	xx, zz := c.square(p.X), c.square(p.Z)
	bz := c.times(c.b, c.square(zz))
	Z := c.times(xx, zz)
	X := c.square(xx).plus(bz)
	Y := c.times(bz, Z).plus(c.times(X, c.timesA(Z).plus(c.square(p.Y)).plus(bz)))
	return projective{X, Y, Z}
}

func (c *curve) add(p projective, q point) projective {
	if !q.finite {
		return p
	}
	if p.Z.isZero() {
		return q.projective()
	}
	zz := c.square(p.Z)
	up, along := c.times(q.y, zz).plus(p.Y), c.times(q.x, p.Z).plus(p.X)
	if along.isZero() && up.isZero() {
		return c.double(p)
	}
	if along.isZero() { // one is the other's negative
		return projective{X: one}
	}
	w := c.times(p.Z, along)
	Z, e := c.square(w), c.times(up, w)
	X := c.square(up).plus(c.times(c.square(along), w.plus(c.timesA(zz)))).plus(e)
	Y := c.times(e.plus(Z), X.plus(c.times(q.x, Z))).plus(c.times(q.x.plus(q.y), c.square(Z)))
	return projective{X, Y, Z}
}

// timesA multiplies with the curve's a, which is 0 or 1.
func (c *curve) timesA(e element) element {
	if c.a.isZero() {
		return element{}
	}
	return e
}

// combine is j p + k q.
func (c *curve) combine(j *big.Int, p point, k *big.Int, q point) point {
	both := c.affine(c.add(p.projective(), q))
	sum := point{}.projective()
	for i := max(j.BitLen(), k.BitLen()) - 1; i >= 0; i-- {
		sum = c.double(sum)
		switch j.Bit(i) | k.Bit(i)<<1 {
		case 1:
			sum = c.add(sum, p)
		case 2:
			sum = c.add(sum, q)
		case 3:
			sum = c.add(sum, both)
		}
	}
	return c.affine(sum)
}

// point reads a point as SEC 1, 2.3.4 writes it, whole or compressed. It is on the
// curve, and is a multiple of the base.
func (c *curve) point(data []byte) (p point, ok bool) {
	if len(data) < 1+c.size() {
		return p, false
	}
	form, size := data[0], c.size()
	if p.x, ok = c.read(data[1 : 1+size]); !ok || p.x.isZero() {
		return p, false
	}
	switch {
	case form == 4 && len(data) == 1+2*size:
		p.y, ok = c.read(data[1+size:])
	case form&^1 == 2 && len(data) == 1+size:
		p.y = c.solve(p.x, uint64(form&1))
	default:
		return p, false
	}
	p.finite = true
	return p, ok && c.has(p) && !c.combine(c.n, p, new(big.Int), point{}).finite
}

// solve finds the y of an x that is not zero, by the lowest coefficient of y/x: if
// there is a point, it is one of the curve.
func (c *curve) solve(x element, lowest uint64) element {
	// z = y/x solves z^2 + z = x + a + b/x^2: half a trace of it does, the degree being odd.
	w := x.plus(c.a).plus(c.over(c.b, c.square(x)))
	z := w
	for range (c.degree - 1) / 2 {
		z = c.square(c.square(z)).plus(w)
	}
	z[0] = z[0]&^1 | lowest // the other solution is z + 1
	return c.times(z, x)
}
