package agentapi

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

const cmdlinePrefix = "ingot."

// Cmdline writes the boot parameters as kernel command line words, Extra last. Empty parameters are left out.
func (b Boot) Cmdline() string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, cmdlinePrefix+name+"="+value)
		}
	}
	add("url", b.URL)
	add("pin", b.Pin)
	add("token", b.Token)
	add("mac", b.MAC)
	add("cidr", b.CIDR)
	if b.Extra != "" {
		words = append(words, b.Extra)
	}
	return strings.Join(words, " ")
}

// ParseCmdline reads the boot parameters from a kernel command line. Of a parameter given twice the last one holds, as
// with the kernel's own. Words that are not ours land in Extra, in their order and with their quotes. It fails when
// the URL, the pin or the token is missing or when a parameter cannot be what it should be.
func ParseCmdline(line string) (Boot, error) {
	var b Boot
	var extra []string
	for _, word := range cmdlineWords(line) {
		name, value, _ := strings.Cut(word, "=")
		value = strings.Trim(value, `"`)
		switch strings.TrimPrefix(name, cmdlinePrefix) {
		case name: // no prefix: not ours
			extra = append(extra, word)
		case "url":
			b.URL = value
		case "pin":
			b.Pin = value
		case "token":
			b.Token = value
		case "mac":
			b.MAC = value
		case "cidr":
			b.CIDR = value
		default: // a newer control plane's: not ours to drop
			extra = append(extra, word)
		}
	}
	b.Extra = strings.Join(extra, " ")
	return b, b.check()
}

func (b Boot) check() error {
	if u, err := url.Parse(b.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("ingot.url=%q is not https://host:port", b.URL)
	}
	if pin, err := hex.DecodeString(b.Pin); err != nil || len(pin) != 32 {
		return fmt.Errorf("ingot.pin=%q is not a SHA-256 in hex", b.Pin)
	}
	if b.Token == "" {
		return fmt.Errorf("ingot.token is missing")
	}
	if b.MAC != "" {
		if _, err := net.ParseMAC(b.MAC); err != nil {
			return fmt.Errorf("ingot.mac=%q is not a hardware address", b.MAC)
		}
	}
	if b.CIDR != "" {
		if _, err := netip.ParsePrefix(b.CIDR); err != nil {
			return fmt.Errorf("ingot.cidr=%q is not an address with a prefix length", b.CIDR)
		}
	}
	return nil
}

// cmdlineWords splits at spaces outside double quotes, as the kernel's next_arg does.
func cmdlineWords(line string) []string {
	quoted := false
	return strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t' || r == '\n')
	})
}
