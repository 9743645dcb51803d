package binarycurve

import (
	"bytes"
	"crypto"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vectors are those of RFC 6979 (A.2.11, A.2.12, A.2.16 and A.2.17) for "sample" and
// SHA-512; the keys compressed.
var vectors = []struct{ curve, key, r, s string }{
	{"SECT409K1", "0300cf923f523fe34a6e863d8ba45fb1fe6d784c8f219c414eef4db8362dbbd3ca71aeb28f568668d5d7a0093e2b84f6fad759db42",
		"16c7e7fb33b5577f7cf6f77762f0f2d531c6e7a3528bd2cf582498c1a48f200789e9df7b754029da0d7e3ce96a2dc760932606",
		"2729617efbf80da5d2f201ac7910d3404a992c39921c2f65f8cf4601392dfe933e6457eafdbd13dfe160d243100378b55c290a"},
	{"SECT409R1", "0301a7055961cf1da4b9a015b18b1524ef01fdd9b93faefc26fb1f2f828a7227b7031925da0ac1a8a075c3b33554b222ea859c17e7",
		"05d178decafd2d02a3da0d8ba1c4c1d95ee083c760df782193a9f7b4a8be6fc5c21fd60613bca65c063a61226e050a680b3abd4",
		"013b7581e98f6a63fbbcb3e49bcda60f816db230b888506d105dc229600497c3b46588c784be3aa9343bef82f7c9c80aeb63c3b"},
	{"SECT571K1", "0306cfb0df7541cdd4c41ef319ea88e849efc8605d97779148082ec991c463ed32319596f9fdf4779c17caf20efd9beb57e9f4ed55bfc52a2fa15ca23bc62b7bf019db59793dd77318",
		"086c9e048eadd7d3d2908501086f3af449a01af6beb2026dc381b39530bcddbe8e854251cbd5c31e6976553813c11213e4761cb8ca2e5352240ad9fb9c635d55fab13ae42e4ee4f",
		"09fee0a68f322b380217fcf6abff15d78c432bd8dd82e18b6ba877c01c860e24410f5150a44f979920147826219766ecb4e2e11a151b6a15bb8e2e825ac95bcca228d8a1c9d3568"},
	{"SECT571R1", "0304b4b3ce9377550140b62c1061763aa524814ddcef37b00cd5cde94f7792bb0e96758e55da2e9fea8ff2a8b6830ae1d57a9ca7a77fcb0836bf43ea5454cdd9fead5ccfe7375c6a83",
		"1c26f40d940a7eaa0eb1e62991028057d91feda0366b606f6c434c361f04e545a6a51a435e26416f6838ffa260c617e798e946b57215284182be55f29a355e6024fe32a47289cf0",
		"3691de4369d921fe94edda67cb71fbbec9a436787478063eb1cc778b3dcdc1c4162662752d28deedf6f32a269c82d1db80c87ce4d3b662e03ac347806e3f19d18d6d4de7358df7e"},
}

func number(digits string) *big.Int {
	n, _ := new(big.Int).SetString(digits, 16)
	return n
}

func named(t testing.TB, name string) *curve {
	t.Helper()
	for _, p := range parameters {
		if p.name == name {
			return byOID(p.oid)
		}
	}
	t.Fatal(name)
	return nil
}

func signature(t testing.TB, r, s *big.Int) []byte {
	t.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestVectors(t *testing.T) {
	digest := sha512.Sum512([]byte("sample"))
	for _, v := range vectors {
		t.Run(v.curve, func(t *testing.T) {
			c := named(t, v.curve)
			compressed, _ := hex.DecodeString(v.key)
			at, ok := c.point(compressed)
			if !ok {
				t.Fatal("no point")
			}
			whole := append(append([]byte{4}, c.bytes(at.x)...), c.bytes(at.y)...)
			if again, ok := c.point(whole); !ok || again != at {
				t.Error("whole it is another")
			}
			k, r, s := &Key{v.curve, c, at}, number(v.r), number(v.s)
			if !k.Verify(digest[:], signature(t, r, s)) {
				t.Error("not verified")
			}
			other, nothing, n := sha512.Sum512([]byte("simple")), new(big.Int), c.n
			if k.Verify(other[:], signature(t, r, s)) {
				t.Error("verified for other data")
			}
			good := signature(t, r, s)
			for what, bad := range map[string][]byte{
				"nothing": nil, "noise": []byte("noise"), "more behind": append(bytes.Clone(good), 0), "less": good[:len(good)-1],
				"zeros": signature(t, nothing, nothing), "r 0": signature(t, nothing, s), "s 0": signature(t, r, nothing), "r n": signature(t, n, s), "s n": signature(t, r, n),
				"r + n": signature(t, new(big.Int).Add(r, n), s), "s + n": signature(t, r, new(big.Int).Add(s, n)), "-r": signature(t, new(big.Int).Neg(r), s),
				"s - n": signature(t, r, new(big.Int).Sub(s, n)), "swapped": signature(t, s, r), "r + 1": signature(t, new(big.Int).Add(r, big.NewInt(1)), s),
			} {
				if k.Verify(digest[:], bad) {
					t.Errorf("%s was verified", what)
				}
			}
			// As every ECDSA: the negative of s signs the same.
			if !k.Verify(digest[:], signature(t, r, new(big.Int).Sub(n, s))) {
				t.Error("the negative is not verified")
			}
			stranger := &Key{v.curve, c, c.base}
			if stranger.Verify(digest[:], good) {
				t.Error("verified for another's key")
			}
		})
	}
}

func TestPointsThatAreNone(t *testing.T) {
	for _, p := range parameters {
		c := byOID(p.oid)
		if !c.has(c.base) || c.combine(c.n, c.base, new(big.Int), point{}).finite {
			t.Fatalf("%s: the base is not what it should be", c.name)
		}
		whole := func(p point) []byte { return append(append([]byte{4}, c.bytes(p.x)...), c.bytes(p.y)...) }
		root := c.b // of b: it is the y of x = 0, the point of order 2
		for range c.degree - 1 {
			root = c.square(root)
		}
		two := point{y: root, finite: true}
		if !c.has(two) || c.affine(c.double(two.projective())).finite {
			t.Fatalf("%s: no point of order two", c.name)
		}
		good := whole(c.base)
		off, high := bytes.Clone(good), bytes.Clone(good)
		off[len(off)-1] ^= 1
		high[1] |= 0x80
		outside := c.affine(c.add(c.base.projective(), two)) // on the curve, but no multiple of the base
		if !c.has(outside) {
			t.Fatalf("%s: not on the curve", c.name)
		}
		for what, data := range map[string][]byte{"nothing": nil, "zero": {0}, "half": good[:1+c.size()], "more": append(bytes.Clone(good), 0), "not on the curve": off,
			"not of the field": high, "of order two": whole(two), "not of the group": whole(outside), "hybrid": append([]byte{6}, good[1:]...),
			"origin": make([]byte, len(good))} {
			if _, ok := c.point(data); ok {
				t.Errorf("%s: %s was taken", c.name, what)
			}
		}
		if got, ok := c.point(good); !ok || got != c.base {
			t.Errorf("%s: the base was refused", c.name)
		}
	}
}

// TestField holds the fast ways of multiplying against the slow one.
func TestField(t *testing.T) {
	r := rand.New(rand.NewChaCha8([32]byte{}))
	for _, f := range []field{{409, []int{87, 0}}, {571, []int{10, 5, 2, 0}}} {
		draw := func() (e element) {
			for i := range f.degree {
				e[i/64] |= uint64(r.IntN(2)) << (i % 64)
			}
			return e
		}
		slow := func(a, b element) (p element) {
			for i := f.degree - 1; i >= 0; i-- {
				high := p[(f.degree-1)/64] >> ((f.degree - 1) % 64) & 1
				p[(f.degree-1)/64] &^= 1 << ((f.degree - 1) % 64)
				var twice element
				twice.addShifted(&p, 1)
				p = twice
				for _, term := range f.terms {
					p[term/64] ^= high << (term % 64)
				}
				if b[i/64]>>(i%64)&1 == 1 {
					p = p.plus(a)
				}
			}
			return p
		}
		var full element
		for i := range f.degree {
			full[i/64] |= 1 << (i % 64)
		}
		for n := range 200 {
			a, b := draw(), draw()
			switch n {
			case 0:
				a, b = full, full
			case 1:
				a, b = one, full
			case 2:
				a = element{}
			}
			if f.times(a, b) != slow(a, b) || f.square(a) != slow(a, a) {
				t.Fatalf("%d: %x times %x", f.degree, a, b)
			}
			if !a.isZero() && f.times(a, f.inverse(a)) != one {
				t.Fatalf("%d: the inverse of %x", f.degree, a)
			}
			if back, ok := f.read(f.bytes(a)); !ok || back != a {
				t.Fatalf("%d: %x is read as %x", f.degree, a, back)
			}
		}
	}
}

// TestAgainstOpenSSL verifies what the real tool signs, by keys in its certificates.
func TestAgainstOpenSSL(t *testing.T) {
	tool, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	curves, err := exec.Command(tool, "ecparam", "-list_curves").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(t *testing.T, args ...string) {
		t.Helper()
		cmd := exec.Command(tool, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v: %s", args, err, out)
		}
	}
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte("the data of the image"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
	for _, p := range parameters {
		for _, form := range []string{"uncompressed", "compressed"} {
			t.Run(p.name+" "+form, func(t *testing.T) {
				if !strings.Contains(string(curves), strings.ToLower(p.name)) {
					t.Skipf("this openssl does not have the curve %s", p.name)
				}
				run(t, "ecparam", "-name", strings.ToLower(p.name), "-genkey", "-noout", "-conv_form", form, "-out", "key")
				run(t, "req", "-new", "-key", "key", "-subj", "/CN=owner", "-out", "request")
				run(t, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1", "-out", "cert.pem")
				block, _ := pem.Decode(read(t, "cert.pem"))
				c, err := ParseCertificate(block.Bytes)
				if err != nil || c.Key.Curve != p.name || c.NotAfter.Sub(c.NotBefore).Hours() != 24 {
					t.Fatalf("%+v, %v", c, err)
				}
				hashes := map[string]crypto.Hash{"sha224": crypto.SHA224, "sha512": crypto.SHA512}
				if form == "compressed" {
					hashes = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384}
				}
				for method, hash := range hashes {
					run(t, "dgst", "-"+method, "-sign", "key", "-out", "signature", "data")
					h := hash.New()
					h.Write(read(t, "data"))
					digest := h.Sum(nil)
					if !c.Key.Verify(digest, read(t, "signature")) {
						t.Errorf("%s: not verified", method)
					}
					digest[0] ^= 0x80
					if c.Key.Verify(digest, read(t, "signature")) {
						t.Errorf("%s: other data were verified", method)
					}
				}
				for i := 0; i < len(block.Bytes) && p.degree == 409 && p.a == 0; i += 1 + i/16 { // whatever is broken in it, nothing panics
					broken := bytes.Clone(block.Bytes)
					broken[i] ^= 0xff
					_, _ = ParseCertificate(broken)
				}
			})
		}
	}
}

func TestCertificatesOfOthers(t *testing.T) {
	for what, data := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "an empty sequence": {0x30, 0}} {
		if c, err := ParseCertificate(data); err == nil {
			t.Errorf("%s: %+v", what, c)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	digest := sha512.Sum512([]byte("sample"))
	for _, v := range vectors {
		c := named(b, v.curve)
		compressed, _ := hex.DecodeString(v.key)
		at, ok := c.point(compressed)
		sig := signature(b, number(v.r), number(v.s))
		b.Run(v.curve, func(b *testing.B) {
			for b.Loop() {
				if k := (&Key{v.curve, c, at}); !ok || !k.Verify(digest[:], sig) {
					b.Fatal("not verified")
				}
			}
		})
	}
}
