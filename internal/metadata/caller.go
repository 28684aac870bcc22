package metadata

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/ingotcloud/ingot/internal/fault"
)

// Caller is who asks: the network that the request came in on, and the address that it came from.
type Caller struct {
	Network string
	Address netip.Addr
}

// The headers by which a chassis says who the caller is.
const (
	headerNetwork   = "X-Ingot-Network"
	headerAddress   = "X-Ingot-Address"
	headerTime      = "X-Ingot-Time" // seconds since 1970
	headerSignature = "X-Ingot-Signature"
)

// skew is how far a chassis' clock may be from ours. Within it a signature could be used again, by who can read what TLS
// carries: to learn once more what it has read.
const skew = 5 * time.Minute

// Sign vouches for the caller with the secret that chassis and control plane share.
func (c Caller) Sign(h http.Header, secret []byte, now time.Time) {
	at := strconv.FormatInt(now.Unix(), 10)
	h.Set(headerNetwork, c.Network)
	h.Set(headerAddress, c.Address.String())
	h.Set(headerTime, at)
	h.Set(headerSignature, hex.EncodeToString(c.mac(secret, at)))
}

// mac is over all that is said; none of it can hold a line's end, so that no two callers look the same.
func (c Caller) mac(secret []byte, at string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("ingot metadata\n" + c.Network + "\n" + c.Address.String() + "\n" + at))
	return mac.Sum(nil)
}

// caller believes a signed request. What is not signed by us, or was long ago, is the fault Unauthorized.
func caller(h http.Header, secret []byte, now time.Time) (Caller, error) {
	refused := fault.New(fault.Unauthorized, "The request is not signed by a chassis of this cloud.")
	c := Caller{Network: h.Get(headerNetwork)}
	var err error
	if c.Address, err = netip.ParseAddr(h.Get(headerAddress)); err != nil {
		return Caller{}, refused
	}
	signature, err := hex.DecodeString(h.Get(headerSignature))
	if err != nil || !hmac.Equal(signature, c.mac(secret, h.Get(headerTime))) {
		return Caller{}, refused
	}
	seconds, err := strconv.ParseInt(h.Get(headerTime), 10, 64)
	if err != nil {
		return Caller{}, refused
	}
	if off := now.Sub(time.Unix(seconds, 0)); off.Abs() > skew {
		return Caller{}, fault.New(fault.Unauthorized, "The chassis' clock is off by %s; at most %s are allowed.", off.Round(time.Second), skew)
	}
	return c, nil
}
