package binarycurve

import (
	"encoding/binary"
	"math/bits"
)

// words is how many words an element has, as many as the largest field needs.
const words = 9

// element is a polynomial over GF(2), of its lowest coefficients first.
type element [words]uint64

var one = element{1}

// field is GF(2^degree): polynomials modulo x^degree and the powers of x that terms
// lists, the highest of which is at least a word below degree.
type field struct {
	degree int
	terms  []int
}

// size is how many bytes an element has where it is written down.
func (f *field) size() int { return (f.degree + 7) / 8 }

// read takes an element from its bytes, the highest first; ok: it is of the field.
func (f *field) read(data []byte) (e element, ok bool) {
	var all [words * 8]byte
	if len(data) != f.size() {
		return e, false
	}
	copy(all[len(all)-len(data):], data)
	for i := range e {
		e[i] = binary.BigEndian.Uint64(all[len(all)-8*(i+1):])
	}
	return e, e.degree() < f.degree
}

// bytes is what read takes.
func (f *field) bytes(e element) []byte {
	var all [words * 8]byte
	for i := range e {
		binary.BigEndian.PutUint64(all[len(all)-8*(i+1):], e[i])
	}
	return all[len(all)-f.size():]
}

// degree is the highest power with a coefficient, -1 of zero.
func (e *element) degree() int {
	for i := words - 1; i >= 0; i-- {
		if e[i] != 0 {
			return 64*i + bits.Len64(e[i]) - 1
		}
	}
	return -1
}

func (e *element) isZero() bool { return *e == element{} }

// plus is the sum, and the difference, of two elements.
func (e element) plus(b element) element {
	for i := range e {
		e[i] ^= b[i]
	}
	return e
}

// addShifted adds b times x^n, which the element has room for.
func (e *element) addShifted(b *element, n int) {
	by, s := n/64, uint(n%64)
	for i := words - 1; i >= by; i-- {
		e[i] ^= b[i-by] << s
		if s > 0 && i > by {
			e[i] ^= b[i-by-1] >> (64 - s)
		}
	}
}

// product is a polynomial before it is reduced.
type product [2 * words]uint64

// times multiplies, by four coefficients of a at a time.
func (f *field) times(a, b element) element {
	var table [16][words + 1]uint64 // b times each polynomial of four coefficients
	for n := 1; n < 16; n++ {
		half, odd := &table[n/2], uint64(n%2)
		for i := range words {
			table[n][i] ^= half[i]<<1 ^ -odd&b[i]
			table[n][i+1] ^= half[i] >> 63
		}
		table[n][words] ^= half[words] << 1
	}
	var p product
	for shift := 60; shift >= 0; shift -= 4 {
		for i := len(p) - 1; i > 0; i-- {
			p[i] = p[i]<<4 | p[i-1]>>60
		}
		p[0] <<= 4
		for i := range words {
			part := &table[a[i]>>shift&15]
			for j := 0; j <= words && i+j < len(p); j++ {
				p[i+j] ^= part[j]
			}
		}
	}
	return f.reduce(&p)
}

// square spreads the coefficients out: those between are each twice something.
func (f *field) square(a element) element {
	var p product
	for i, w := range a {
		p[2*i], p[2*i+1] = spread(uint32(w)), spread(uint32(w>>32))
	}
	return f.reduce(&p)
}

// spread puts a zero above each bit.
func spread(w uint32) uint64 {
	x := uint64(w)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	x = (x | x<<2) & 0x3333333333333333
	return (x | x<<1) & 0x5555555555555555
}

// reduce brings a product back into the field: x^degree is the sum of the terms.
func (f *field) reduce(p *product) (e element) {
	top, part := f.degree/64, uint(f.degree%64)
	for i := len(p) - 1; i > top; i-- {
		w := p[i]
		p[i] = 0
		for _, t := range f.terms {
			p.add(w, 64*i-f.degree+t)
		}
	}
	w := p[top] >> part
	p[top] &= 1<<part - 1
	for _, t := range f.terms {
		p.add(w, t)
	}
	copy(e[:], p[:])
	return e
}

// add adds a word times x^n.
func (p *product) add(w uint64, n int) {
	i, s := n/64, uint(n%64)
	p[i] ^= w << s
	if s > 0 {
		p[i+1] ^= w >> (64 - s)
	}
}

// inverse is 1/a, by Euclid's algorithm; a is not zero.
func (f *field) inverse(a element) element {
	var modulus element
	for _, t := range append([]int{f.degree}, f.terms...) {
		modulus[t/64] |= 1 << (t % 64)
	}
	u, v, g, h := a, modulus, one, element{} // u = a g, v = a h, modulo the modulus
	for u != one {
		n := u.degree() - v.degree()
		if n < 0 {
			u, v, g, h, n = v, u, h, g, -n
		}
		u.addShifted(&v, n)
		g.addShifted(&h, n)
	}
	return g
}

// over is a/b; b is not zero.
func (f *field) over(a, b element) element { return f.times(a, f.inverse(b)) }
