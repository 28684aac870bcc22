package network

import (
	"net/netip"
	"testing"
)

func TestPoolArithmetic(t *testing.T) {
	ip := netip.MustParseAddr
	for _, x := range []struct {
		a    string
		n    uint64
		want string
	}{
		{"10.0.0.1", 0, "10.0.0.1"}, {"10.0.0.255", 1, "10.0.1.0"}, {"fd00::", 10, "fd00::a"}, {"fd00::ffff:ffff:ffff:ffff", 1, "fd00:0:0:1::"},
	} {
		if got := plus(ip(x.a), x.n); got != ip(x.want) {
			t.Errorf("%s + %d = %s, want %s", x.a, x.n, got, x.want)
		}
	}
	for pool, want := range map[Pool]uint64{
		{ip("10.0.0.1"), ip("10.0.0.1")}: 1, {ip("10.0.0.250"), ip("10.0.1.5")}: 12,
		{ip("fd00::1"), ip("fd00::ffff")}: 65535, {ip("fd00::"), ip("fd01::")}: mostDrawn,
	} {
		if got := pool.size(); got != want {
			t.Errorf("%v has %d, want %d", pool, got, want)
		}
	}
	pools := []Pool{{ip("10.0.0.1"), ip("10.0.0.2")}, {ip("10.0.0.9"), ip("10.0.0.9")}}
	seen := map[netip.Addr]bool{}
	for len(seen) < 3 {
		a, ok := draw(pools)
		if !ok || !pools[0].Contains(a) && !pools[1].Contains(a) {
			t.Fatalf("drew %v", a)
		}
		seen[a] = true
	}
	if _, ok := draw(nil); ok {
		t.Error("drew from nothing")
	}
}
